import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from made_up_runs import UTTERANCE, write_noise_plan, write_packed, write_split, write_utterances
from serflow.errors import StoreError
from serflow.noise.plan import CONDITIONS
from serflow.studies.dlc.card import Files, make_card
from serflow.studies.dlc.catalog import Cell
from serflow.studies.dlc.data import Files as CellFiles
from serflow.studies.dlc.data import load_cell
from serflow.studies.dlc.protocol import folds

# utterance, dialogue, speaker, gender, emotion, text, role, condition, clip
UTTERANCES = [
    ("d1_1", "D1", "A", "female", "anger", "Go away!", "train", "natural", "n1"),
    ("d1_2", "D1", "B", "male", "neutral", "I see.", "train", "human", "u1"),
    ("d2_1", "D2", "A", "female", "sadness", "It is over.", "train", "interior", "i1"),
    ("d3_1", "D3", "C", "male", "anger", "go  AWAY", "val", "natural", "n2"),
    ("d4_1", "D4", "B", "male", "neutral", "i see", "test", "natural", "n1"),
    ("d4_2", "D4", "A", "female", "anger", "[LAUGHTER]", "test", "human", "u2"),
    ("d5_1", "D5", "D", None, "sadness", "It's over.", "test", "interior", "i1"),
    ("d5_2", "D5", "D", None, "other", "go away", "test", "interior", "i1"),
]
COLUMNS = (UTTERANCE, "dialogue", "speaker", "gender", "emotion", "text")
SNRS = {"natural": -5.0, "human": -20.0, "interior": -20.0}
TITLES = {"toy": "Toy"}


def write(folder, rows=UTTERANCES, *, roles=None, runs=(0,), unit="dialogue", profiles=("h1",), said=None, **changed):
    """The files of a corpus; ``roles`` are those of each run, ``changed`` replaces whole columns of the table."""
    told = [dict(zip(COLUMNS, row, strict=False)) for row in rows]
    told = [{**row, **{name: values[i] for name, values in changed.items()}} for i, row in enumerate(told)]
    given = roles or [[row[6] for row in rows]] * len(runs)
    names = [row[0] for row in rows]
    return Files(
        (write_utterances(folder, rows=told, **{"synthetic": True, "rejected": 1, **(said or {})}),),
        tuple(
            write_split(folder, {f"{unit}-{run}": dict(zip(names, of_run, strict=True))}, protocol=f"{unit}-{run}")
            for run, of_run in zip(runs, given, strict=True)
        ),
        tuple(
            write_noise_plan(
                folder,
                [(row[0], row[7], row[8], SNRS[row[7]]) for row in rows],
                profile=profile,
                synthetic=True,
                warnings=["clips: 30 of 1,200"],
            )
            for profile in profiles
        ),
    )


def card(files, settings=None, runs=(0,), titles=TITLES, experiments=("exp1", "exp2")):
    options = {"iemocap_labels": "merged", "experiments": list(experiments)}
    return make_card(files, titles, {"toy": list(runs)}, options, settings or {})


@pytest.mark.parametrize(
    ("experiment", "said", "unsaid"),
    [("exp1", "Noise clips in experiment 1", "Experiment 2"), ("exp2", "Experiment 2", "Noise clips in experiment 1")],
)
def test_a_card_tells_of_the_experiments_that_are_asked_for(tmp_path, experiment, said, unsaid):
    found = card(write(tmp_path), experiments=[experiment])
    assert {row["experiment"] for row in found.rows} == {experiment}
    assert f"### {said}" in found.page
    assert f"### {unsaid}" not in found.page


def lines(files, runs=(0,)):
    return {(row["profile"], row["run"], row["experiment"], row["fold"]): row for row in card(files, runs=runs).rows}


def part(row, *names):
    return [row[name] for name in names]


def test_experiment_1_by_hand(tmp_path):
    assert lines(write(tmp_path))["h1", 0, "exp1", "none"] == {
        "corpus": "toy",
        "profile": "h1",
        "experiment": "exp1",
        "synthetic": True,
        "partial": False,
        "split_by": "dialogue",
        "run": 0,
        "fold": "none",
        "n_classes": 3,
        "excluded": 1,
        "n_train": 3,
        "n_val": 1,
        "n_test": 3,
        "train_classes": "anger 1; neutral 1; sadness 1",
        "val_classes": "anger 1; neutral 0; sadness 0",
        "test_classes": "anger 1; neutral 1; sadness 1",
        "train_lacks": "",
        "val_lacks": "neutral; sadness",
        "test_lacks": "",
        "train_genders": "female 2; male 1",
        "val_genders": "male 1",
        "test_genders": "female 1; male 1; unknown 1",
        "train_speakers": 2,
        "test_speakers": 3,
        "shared_speakers": 2,
        "train_dialogues": 2,
        "test_dialogues": 2,
        "shared_dialogues": 0,
        # "i see" is said in both; "[LAUGHTER]" is no sentence; "it is over" and "it's over" differ
        "train_sentences": 3,
        "test_sentences": 2,
        "shared_sentences": 1,
        "test_utterances_of_shared_sentences": 1,
        "test_percent_of_shared_sentences": pytest.approx(100 / 3),
        "test_utterances_of_shared_audio": 0,
        "train_clips": 3,
        "test_clips": 3,
        "shared_clips": 2,
        "test_utterances_of_shared_clips": 2,
        "test_percent_of_shared_clips": pytest.approx(200 / 3),
        "train_snr_db": "natural -5; human -20; interior -20",
        "test_snr_db": "natural -5; human -20; interior -20",
    }


def test_experiment_2_tests_the_condition_that_is_held_out(tmp_path):
    found = lines(write(tmp_path))
    assert [name[3] for name in found] == ["none", *CONDITIONS]
    row = found["h1", 0, "exp2", "natural"]
    assert part(row, "n_train", "n_val", "n_test") == [2, 0, 1]
    assert part(row, "train_snr_db", "test_snr_db") == ["human -20; interior -20", "natural -5"]
    assert part(row, "train_speakers", "test_speakers", "shared_speakers") == [2, 1, 1]
    assert part(row, "train_lacks", "val_lacks", "test_lacks") == ["anger", "anger; neutral; sadness", "anger; sadness"]
    assert all(row["shared_clips"] == 0 for name, row in found.items() if name[2] == "exp2")


def test_there_is_a_line_for_each_profile_run_and_fold(tmp_path):
    found = lines(write(tmp_path, runs=(3, 7), profiles=("h1", "h2")), runs=(3, 7))
    assert len(found) == 2 * 2 * 4
    assert {name[1] for name in found} == {3, 7}


def test_the_cards_sizes_are_those_that_training_gets(tmp_path):
    """By the data of a cell, with other utterances left out than those of this table."""
    generator = np.random.default_rng(0)
    rows = [
        (f"u{i}", f"D{i}", "A", "male", ("anger", "sadness", "other")[i % 3], None,
         ("train", "val", "test")[i % 4 % 3], CONDITIONS[generator.integers(3)], "c")
        for i in range(90)
    ]  # fmt: skip
    given = [[row[6] for row in rows], [("test", "train", "val")[i % 3 % 2] for i in range(90)]]
    files = write(tmp_path, rows, runs=(0, 2), roles=given)
    frames = {row[0]: np.ones((3, 2)) for row in rows}
    cell_files = CellFiles(
        files.utterances[0],
        files.splits,
        files.plans[0],
        write_packed(tmp_path, "clean", frames),
        write_packed(tmp_path, "noisy", frames, condition="h1"),
    )
    found = lines(files, runs=(0, 2))
    for experiment in ("exp1", "exp2"):
        data = load_cell(
            cell_files, Cell(experiment, "single", "toy", "h1"), [0, 2], predicts="emotion", labels="merged", heard="h1"
        )
        for rows_of_fit in folds(experiment, data.conditions, data.roles):
            row = found["h1", rows_of_fit.fit.run, experiment, rows_of_fit.fit.fold]
            sizes = {role: len(of_role) for role, of_role in rows_of_fit.roles().items()}
            assert {role: row[f"n_{role}"] for role in sizes} == sizes
            counts = data.targets[rows_of_fit.train].sum(0)
            assert row["train_classes"] == "; ".join(
                f"{name} {int(count)}" for name, count in zip(data.classes, counts, strict=True)
            )
        assert row["excluded"] == sum(data.excluded.values()) == 30


def test_without_texts_the_sentence_codes_count_unless_they_are_scenes(tmp_path):
    codes = {"text": [None] * 8, "sentence": ["S1", "S2", "S3", "S1", "S1", "S1", "S9", "S1"]}
    read = lines(write(tmp_path, style=["read"] * 8, **codes))["h1", 0, "exp1", "none"]
    assert part(read, "test_sentences", "shared_sentences", "test_utterances_of_shared_sentences") == [2, 1, 2]
    improvised = lines(write(tmp_path / "scenes", style=["improvised"] * 8, **codes))
    assert all(part(row, "train_sentences", "test_sentences") == [0, 0] for row in improvised.values())


def test_a_corpus_without_dialogues_shares_none(tmp_path):
    files = write(tmp_path, dialogue=[None] * 8)
    row = lines(files)["h1", 0, "exp1", "none"]
    assert part(row, "train_dialogues", "test_dialogues", "shared_dialogues") == [0, 0, 0]
    assert "- Split: by dialogue, each utterance (no dialogues) as a whole" in card(files).page


def test_by_speakers_dialogues_may_be_shared(tmp_path):
    roles = [["train", "test", "train", "val", "test", "train", "test", "test"]]
    row = lines(write(tmp_path, roles=roles, unit="speaker"))["h1", 0, "exp1", "none"]
    assert part(row, "split_by", "shared_speakers", "test_dialogues", "shared_dialogues") == ["speaker", 0, 3, 2]


def test_a_split_that_parts_a_dialogue_is_an_error(tmp_path):
    roles = [["train", "test", "train", "val", "test", "test", "test", "test"]]
    with pytest.raises(StoreError, match=r"dialogue-0\.parquet: parts dialogue 'D1' among train, val, test"):
        card(write(tmp_path, roles=roles))


@pytest.mark.parametrize("part_of", ["splits", "plans"])
def test_a_split_or_plan_without_an_utterance_is_an_error(tmp_path, part_of):
    whole, other = write(tmp_path / "whole"), write(tmp_path / "other", UTTERANCES[1:])
    with pytest.raises(StoreError, match="1 of 7 utterances are missing, the first is d1_1"):
        card(whole._replace(**{part_of: getattr(other, part_of)}))


def test_one_split_may_be_that_of_all_runs(tmp_path):
    """Where noise clips follow the split, all runs are on one."""
    files = write(tmp_path)
    found = card(files, runs=(0, 1, 2))
    assert [row["run"] for row in found.rows if row["experiment"] == "exp1"] == [0, 1, 2]
    assert len({row["test_classes"] for row in found.rows if row["experiment"] == "exp1"}) == 1


def test_splits_that_are_not_those_of_the_runs_are_refused(tmp_path):
    with pytest.raises(StoreError, match="2 splits of corpus 'toy' for 3 runs"):
        card(write(tmp_path, runs=(0, 1)), runs=(0, 1, 2))


def row_of(text, *first):
    (line,) = [line for line in text.splitlines() if line.startswith("| " + " | ".join(first) + " |")]
    return [cell.strip() for cell in line.strip("|").split("|")][len(first) :]


def test_the_card_has_the_facts(tmp_path):
    settings = {"selection": "best validation UA", "noise.clips": {"train": "all", "test": "all"}, "seeds": [0, 1]}
    text = card(write(tmp_path), settings).page
    assert "## Toy (synthetic)" in text
    assert row_of(text, "selection") == ["best validation UA"]
    assert row_of(text, "noise.clips") == ["train: all, test: all"]
    assert row_of(text, "seeds") == ["0, 1"]
    for line in (
        "- Noise clips: synthetic stand-ins.",
        "- noise: clips: 30 of 1,200",
        "- Data: a synthetic stand-in.",
        "- Utterances: 7 with a label of the study, 1 left out (no label of the study).",
        "- Speakers: 4 (female 1, male 2, unknown 1).",
        "- Dialogues: 5. Utterances with a text or sentence code: 6.",
        "- Split: by dialogue, each dialogue as a whole; train, val, test get 70 %, 10 %, 20 % of them; runs 0.",
        "- 1 of 9 utterances rejected",
        "- Run 0, speakers of training and test: A, B.",
        "- Run 0, val: no utterance is neutral, sadness; UA there is over the other 1 classes.",
    ):
        assert line in text.splitlines()
    # utterances, anger, neutral, sadness, speakers, dialogues, female, male, unknown
    assert row_of(text, "0", "train") == ["3", "1", "1", "1", "2", "2", "2", "1", "0"]
    assert row_of(text, "0", "test") == ["3", "1", "1", "1", "3", "2", "1", "1", "1"]
    assert row_of(text, "0", "2 of 3") == ["0 of 2", "1 of 2", "33.3 %", "0"]
    assert row_of(text, "h1", "natural", "3") == ["2", "-5", "-4.8"]
    assert row_of(text, "h1", "0") == ["2 of 3", "66.7 %"]
    assert row_of(text, "h1", "natural", "2") == ["0", "1", "natural -5", "human -20; interior -20", "0"]


def test_real_data_are_called_so(tmp_path):
    text = card(write(tmp_path, said={"synthetic": False, "partial": True, "warnings": ["half of it"]})).page
    # the noise of this corpus is a stand-in's all the same
    assert "## Toy (partial, synthetic noise)" in text
    assert "- Data: the publisher's, partial." in text.splitlines()
    assert "- half of it" in text.splitlines()


def test_numbers_of_several_runs_are_a_range(tmp_path):
    given = [row[6] for row in UTTERANCES]
    moved = ["train" if row[0] == "d3_1" else role for row, role in zip(UTTERANCES, given, strict=True)]
    text = card(write(tmp_path, runs=(0, 1), roles=[given, moved]), runs=(0, 1)).page
    assert row_of(text, "h1", "human", "2 to 3") == ["0 to 1", "1", "human -20", "natural -5; interior -20", "0"]


def test_a_bar_in_a_setting_does_not_break_the_table(tmp_path):
    assert "| asr | a\\|b |" in card(write(tmp_path), {"asr": "a|b"}).page


def test_the_labels_of_iemocap_are_those_of_the_options(tmp_path):
    rows = [(*row[:4], "excitement" if row[4] == "other" else row[4], *row[5:]) for row in UTTERANCES]
    files = write(tmp_path, rows, said={"layout": "iemocap"})
    excluded = {
        labels: make_card(files, TITLES, {"toy": [0]}, {"iemocap_labels": labels, "experiments": ["exp1"]}, {}).rows[0][
            "excluded"
        ]
        for labels in ("merged", "hap_only")
    }
    assert excluded == {"merged": 0, "hap_only": 1}


def command(folder, files, settings):
    inputs = [f"{name}={path}" for name, paths in files._asdict().items() for path in paths]
    return [
        sys.executable, "-m", "serflow.stages.describe_protocol", "--study", "dlc", "--inputs", *inputs,
        "--titles", json.dumps(TITLES), "--runs", '{"toy": [0]}', "--options",
        '{"iemocap_labels": "merged", "experiments": ["exp1", "exp2"]}',
        "--settings", json.dumps(settings), "--code", "f" * 16,
        "--table", folder / "protocol.csv", "--card", folder / "protocol.md",
    ]  # fmt: skip


def test_the_stage_writes_table_and_card(tmp_path):
    settings = {"selection": "best validation UA, patience 10", "asr": None, "class weights": True}
    subprocess.run(command(tmp_path, write(tmp_path), settings), check=True)
    rows = list(csv.DictReader((tmp_path / "protocol.csv").read_text().splitlines()))
    assert [(row["experiment"], row["fold"]) for row in rows] == [
        ("exp1", "none"), ("exp2", "natural"), ("exp2", "human"), ("exp2", "interior"),
    ]  # fmt: skip
    assert rows[0]["test_percent_of_shared_sentences"] == "33.33"
    text = (tmp_path / "protocol.md").read_text()
    assert row_of(text, "selection") == ["best validation UA, patience 10"]
    assert row_of(text, "asr") == ["n/a"]
    assert row_of(text, "class weights") == ["yes"]


def test_the_stage_names_a_corpus_without_a_plan(tmp_path):
    files = write(tmp_path)
    other = write_noise_plan(tmp_path, [], corpus="other")
    asked = command(tmp_path, files._replace(plans=(other,)), {})
    result = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no noise plan of corpus 'toy' is given" in result.stderr
    assert not (tmp_path / "protocol.csv").exists()


def test_audio_that_is_the_same_in_training_and_test_is_counted(tmp_path):
    """Twice that of a training utterance, once that of another test utterance."""
    same = [None, None, None, None, "d1_2", "d1_2", None, "d5_1"]
    files = write(tmp_path, duplicate_of=same)
    assert lines(files)["h1", 0, "exp1", "none"]["test_utterances_of_shared_audio"] == 2
    assert row_of(card(files).page, "0", "2 of 3")[-1] == "2"
    dropped = write(tmp_path / "drop", duplicate_of=same, said={"same_audio": "drop"})
    row = lines(dropped)["h1", 0, "exp1", "none"]
    # d5_2 has no label of the study anyway
    assert part(row, "n_train", "n_test", "excluded", "test_utterances_of_shared_audio") == [3, 1, 3, 0]
    assert "2 left out (the same audio as an earlier one)" in card(dropped).page


def test_the_card_says_that_a_method_may_leave_out_more(tmp_path):
    assert (
        "A method whose features or transcripts lack some utterances is trained and tested on fewer"
        in card(write(tmp_path)).page
    )
