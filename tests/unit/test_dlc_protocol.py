import csv
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from dlc_artefacts import write_clips
from serflow.errors import StoreError
from serflow.noise.mixing import PLAN_SCHEMA
from serflow.report.corpora import read_corpora, read_noise
from serflow.stores import parquet
from serflow.studies.dlc.data import CellData, select_fold
from serflow.studies.dlc.protocol import protocol_table, read_records
from serflow.studies.dlc.protocol_card import protocol_card

# id, dialogue, speaker, gender, emotion, text, role in fold 0, condition, clip
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
SNRS = {"natural": -5.0, "human": -20.0, "interior": -20.0}
CORPUS = [{"name": "toy", "title": "Toy", "synthetic": True, "departures": ["optimiser adam, the paper's adadelta"]}]


def write_corpus(folder, rows=UTTERANCES, *, roles=None, seeds=(0,), protocol="dialogue", profiles=("h1",), **changed):
    """The three files of a corpus; ``changed`` replaces whole columns of the utterance table."""
    ids, dialogues, speakers, genders, emotions, texts, given, conditions, clips = zip(*rows, strict=True)
    n = len(ids)
    columns = {
        "id": ids,
        "dialogue": dialogues,
        "speaker": speakers,
        "gender": genders,
        "style": [None] * n,
        "sentence": [None] * n,
        "text": texts,
        "emotion": emotions,
        **changed,
    }
    table = pa.table(
        {
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
            "sentiment": pa.nulls(n, pa.float64()),
            "valence_ratings": pa.nulls(n, pa.list_(pa.float64())),
        }
    )
    metadata = {
        "corpus": "toy",
        "layout": "table",
        "synthetic": True,
        "partial": False,
        "counts": {"listed": 9, "accepted": 8, "rejected": 1},
        "warnings": [],
    }
    paths = [folder / "utterances.parquet", folder / "split.parquet"]
    parquet.write_table(paths[0], table, kind="utterances", metadata=metadata)
    split = pa.table(
        {
            "utterance": list(ids) * len(seeds),
            "fold": pa.array([seed for seed in seeds for _ in ids], pa.int32()),
            "role": list(roles or given) * len(seeds),
        }
    )
    parquet.write_table(paths[1], split, kind="split", metadata={"corpus": "toy", "protocol": protocol})
    for profile in profiles:
        plan = [
            {"utterance": name, "condition": condition, "clip": clip, "snr_db": SNRS[condition],
             "achieved_snr_db": SNRS[condition] + 0.25}
            for name, condition, clip in zip(ids, conditions, clips, strict=True)
        ]  # fmt: skip
        path = folder / f"{profile}.parquet"
        table = pa.Table.from_pylist(plan, schema=PLAN_SCHEMA)
        parquet.write_table(path, table, kind="noise_plan", metadata={"corpus": "toy", "profile": profile})
        paths.append(path)
    return paths


def records(folder, *arguments, **keywords):
    utterances, split, *plans = write_corpus(folder, *arguments, **keywords)
    return read_records(utterances, split, plans, "merged")


def lines(folder, *arguments, **keywords):
    table = protocol_table([records(folder, *arguments, **keywords)])
    return table.set_index(["profile", "seed", "experiment", "held_out"])


def test_experiment_1_by_hand(tmp_path):
    line = lines(tmp_path).loc[("h1", 0, "exp1", "none")].to_dict()
    assert line == {
        "corpus": "toy",
        "synthetic": True,
        "partial": False,
        "protocol": "dialogue",
        "n_classes": 3,
        "excluded": 1,
        "n_train": 3,
        "n_val": 1,
        "n_test": 3,
        "train_classes": "anger 1; neutral 1; sadness 1",
        "val_classes": "anger 1; neutral 0; sadness 0",
        "test_classes": "anger 1; neutral 1; sadness 1",
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
        "train_clips": 3,
        "test_clips": 3,
        "shared_clips": 2,
        "test_utterances_of_shared_clips": 2,
        "test_percent_of_shared_clips": pytest.approx(200 / 3),
        "train_snr_db": "natural -5; human -20; interior -20",
        "test_snr_db": "natural -5; human -20; interior -20",
    }


def test_experiment_2_tests_the_condition_that_is_held_out(tmp_path):
    table = lines(tmp_path)
    assert table.index.get_level_values("held_out").tolist() == ["none", "natural", "human", "interior"]
    line = table.loc[("h1", 0, "exp2", "natural")]
    assert line[["n_train", "n_val", "n_test"]].tolist() == [2, 0, 1]
    assert (line["train_snr_db"], line["test_snr_db"]) == ("human -20; interior -20", "natural -5")
    assert line[["train_speakers", "test_speakers", "shared_speakers"]].tolist() == [2, 1, 1]
    assert (table.loc[("h1", 0, "exp2"), "shared_clips"] == 0).all()


def test_sizes_are_those_of_the_folds_that_are_trained_on(tmp_path):
    generator = np.random.default_rng(0)
    conditions = ["natural", "human", "interior"]
    rows = [
        (f"u{i}", f"D{i}", "A", "male", ("anger", "sadness")[i % 2], None, ("train", "val", "test")[i % 3],
         conditions[generator.integers(3)], "c")
        for i in range(90)
    ]  # fmt: skip
    table = lines(tmp_path, rows)
    data = CellData(
        utterances=[row[0] for row in rows],
        classes=("anger", "sadness"),
        targets=np.eye(2)[[i % 2 for i in range(90)]],
        conditions=np.array([conditions.index(row[7]) for row in rows]),
        roles={0: np.array([row[6] for row in rows])},
        clean=None,
        noisy=None,
        clean_rows=None,
        noisy_rows=None,
        excluded=0,
    )
    for experiment, held_out in [("exp1", "none"), *(("exp2", condition) for condition in conditions)]:
        fold = select_fold(data, 0, held_out, predicts="emotion")
        line = table.loc[("h1", 0, experiment, held_out)]
        assert line[["n_train", "n_val", "n_test"]].tolist() == [len(fold.train), len(fold.val), len(fold.test)]


def test_there_is_a_line_for_each_profile_seed_and_held_out_condition(tmp_path):
    table = lines(tmp_path, seeds=(3, 7), profiles=("h1", "h2"))
    assert len(table) == 2 * 2 * 4
    assert table.index.get_level_values("seed").unique().tolist() == [3, 7]


def test_without_texts_the_sentence_codes_count_unless_they_are_scenes(tmp_path):
    codes = ["S1", "S2", "S3", "S1", "S1", "S1", "S9", "S1"]
    read = lines(tmp_path, text=[None] * 8, sentence=codes, style=["read"] * 8).loc[("h1", 0, "exp1", "none")]
    assert read[["test_sentences", "shared_sentences", "test_utterances_of_shared_sentences"]].tolist() == [2, 1, 2]
    improvised = lines(tmp_path, text=[None] * 8, sentence=codes, style=["improvised"] * 8)
    assert (improvised[["train_sentences", "test_sentences", "shared_sentences"]] == 0).all().all()


def test_a_corpus_without_dialogues_shares_none(tmp_path):
    line = lines(tmp_path, dialogue=[None] * 8).loc[("h1", 0, "exp1", "none")]
    assert line[["train_dialogues", "test_dialogues", "shared_dialogues"]].tolist() == [0, 0, 0]


def test_by_speakers_dialogues_may_be_shared(tmp_path):
    roles = ["train", "test", "train", "val", "test", "train", "test", "test"]
    line = lines(tmp_path, roles=roles, protocol="speaker").loc[("h1", 0, "exp1", "none")]
    assert line[["shared_speakers", "test_dialogues", "shared_dialogues"]].tolist() == [0, 3, 2]


def test_a_split_that_parts_a_dialogue_is_an_error(tmp_path):
    roles = ["train", "test", "train", "val", "test", "test", "test", "test"]
    with pytest.raises(StoreError, match="fold 0 parts dialogue 'D1'"):
        records(tmp_path, roles=roles)


@pytest.mark.parametrize("number", [1, 2])
def test_a_split_or_plan_without_an_utterance_is_an_error(tmp_path, number):
    whole = write_corpus(tmp_path / "whole")
    other = write_corpus(tmp_path / "other", UTTERANCES[1:])
    whole[number] = other[number]
    with pytest.raises(StoreError, match=f"{other[number].name}: 1 of 7 utterances are missing, the first is d1_1"):
        read_records(whole[0], whole[1], whole[2:], "merged")


def card(folder, settings, **keywords):
    corpus = records(folder, **keywords)
    facts = read_corpora(CORPUS, [folder / "utterances.parquet"])
    noise = read_noise(write_clips(folder, synthetic=True, warnings=["clips: 30 of 1,200"]))
    return protocol_card([corpus], protocol_table([corpus]), facts, noise, settings)


def row_of(text, *first):
    (line,) = [line for line in text.splitlines() if line.startswith("| " + " | ".join(first) + " |")]
    return [cell.strip() for cell in line.strip("|").split("|")][len(first) :]


def test_the_card_has_the_facts(tmp_path):
    settings = {"selection": "best validation UA", "noise.clips": {"train": "all", "test": "all"}, "seeds": [0, 1]}
    text = card(tmp_path, settings)
    assert "## Toy (synthetic)" in text
    assert row_of(text, "selection") == ["best validation UA"]
    assert row_of(text, "noise.clips") == ["train: all, test: all"]
    assert row_of(text, "seeds") == ["0, 1"]
    for line in (
        "- Noise clips: synthetic stand-ins.",
        "- noise: clips: 30 of 1,200",
        "- Data: a synthetic stand-in.",
        "- Utterances: 7 with a label of the study, 1 without one and left out.",
        "- Speakers: 4 (female 1, male 2, unknown 1).",
        "- Split: protocol `dialogue`, each dialogue as a whole; train, val, test get 70 %, 10 %, 20 % of them; "
        "seeds 0.",
        "- optimiser adam, the paper's adadelta",
        "- 1 of 9 listed utterances rejected",
        "- Seed 0, speakers of training and test: A, B.",
    ):
        assert line in text.splitlines()
    # utterances, anger, neutral, sadness, speakers, dialogues, female, male, unknown
    assert row_of(text, "0", "train") == ["3", "1", "1", "1", "2", "2", "2", "1", "0"]
    assert row_of(text, "0", "test") == ["3", "1", "1", "1", "3", "2", "1", "1", "1"]
    assert row_of(text, "0", "2 of 3") == ["0 of 2", "1 of 2", "33.3 %"]
    assert row_of(text, "h1", "natural", "3") == ["2", "-5", "-4.8"]
    assert row_of(text, "h1", "0") == ["2 of 3", "66.7 %"]
    assert row_of(text, "h1", "natural", "2") == ["0", "1", "natural -5", "human -20; interior -20", "0"]


def test_numbers_of_several_seeds_are_a_range(tmp_path):
    utterances, split, *plans = write_corpus(tmp_path, seeds=(0, 1))
    table = parquet.read_table(split).to_pylist()
    moved = [{**row, "role": "train"} if (row["utterance"], row["fold"]) == ("d3_1", 1) else row for row in table]
    schema = parquet.read_table(split).schema.remove_metadata()
    metadata = {"corpus": "toy", "protocol": "dialogue"}
    parquet.write_table(split, pa.Table.from_pylist(moved, schema=schema), kind="split", metadata=metadata)
    corpus = read_records(utterances, split, plans, "merged")
    facts = read_corpora(CORPUS, [utterances])
    text = protocol_card([corpus], protocol_table([corpus]), facts, read_noise(write_clips(tmp_path)), {})
    assert row_of(text, "h1", "human", "2 to 3") == ["0 to 1", "1", "human -20", "natural -5; interior -20", "0"]


def test_a_bar_in_a_setting_does_not_break_the_table(tmp_path):
    assert "| asr | a\\|b |" in card(tmp_path, {"asr": "a|b"})


def test_the_stage_writes_table_and_card(tmp_path):
    utterances, split, plan = write_corpus(tmp_path)
    settings = {"selection": "best validation UA, patience 10", "asr": None, "class weights": True}
    command = [
        sys.executable, "-m", "serflow.stages.describe_dlc_protocol", "--utterances", utterances, "--splits", split,
        "--plans", plan, "--clips", write_clips(tmp_path), "--corpora", json.dumps(CORPUS), "--labels", "merged",
        "--settings", json.dumps(settings), "--code", "f" * 16,
        "--table", tmp_path / "protocol.csv", "--card", tmp_path / "protocol.md",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    rows = list(csv.DictReader((tmp_path / "protocol.csv").read_text().splitlines()))
    assert [(row["experiment"], row["held_out"]) for row in rows] == [
        ("exp1", "none"), ("exp2", "natural"), ("exp2", "human"), ("exp2", "interior"),
    ]  # fmt: skip
    assert rows[0]["test_percent_of_shared_sentences"] == "33.33"
    text = (tmp_path / "protocol.md").read_text()
    assert row_of(text, "selection") == ["best validation UA, patience 10"]
    assert row_of(text, "asr") == ["n/a"]
    assert row_of(text, "class weights") == ["yes"]


def test_the_stage_names_a_corpus_without_a_plan(tmp_path):
    utterances, split, plan = write_corpus(tmp_path)
    table = parquet.read_table(plan)
    parquet.write_table(plan, table, kind="noise_plan", metadata={"corpus": "other", "profile": "h1"})
    command = [
        sys.executable, "-m", "serflow.stages.describe_dlc_protocol", "--utterances", utterances, "--splits", split,
        "--plans", plan, "--clips", write_clips(tmp_path), "--corpora", json.dumps(CORPUS), "--labels", "merged",
        "--settings", "{}", "--code", "f", "--table", tmp_path / "protocol.csv", "--card", tmp_path / "protocol.md",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no noise plan of corpus 'toy' is given" in result.stderr
    assert not (tmp_path / "protocol.csv").exists()
