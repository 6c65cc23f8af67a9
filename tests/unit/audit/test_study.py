"""What a study's audit says of its cells: who is in each set, by tables that their digests name; and of networks."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from made_up_runs import (
    UTTERANCE,
    predicted,
    write_cell,
    write_noise_plan,
    write_split,
    write_utterances,
)
from serflow.audit import study as audit
from serflow.audit.ledger import origins, read_before, told
from serflow.audit.summary import summary
from serflow.audit.trained import Tables, Trained
from serflow.backbones.base import backbone_names
from serflow.backbones.weights import Weights
from serflow.config import read_config
from serflow.corpora.base import corpus_names
from serflow.errors import StoreError
from serflow.protocols.examples import FACTS, Examples
from serflow.protocols.folds import FitName, FoldRows
from serflow.runs.provenance import Provenance, gather
from serflow.studies.contract import Exposure


def weights(backbone, release="base", synthetic=False):
    known = {field.name: "" for field in dataclasses.fields(Weights)}
    return Weights(
        **{**known, "backbone": backbone, "release": release, "synthetic": synthetic, "files": {}, "bytes": 0}
    )


# Networks


def test_every_network_and_corpus_is_in_the_ledger_but_those_of_which_nothing_is_known():
    assert {name for kind, name in origins() if kind == "network"} == set(backbone_names()) - {"allosaurus"}
    assert {name for kind, name in origins() if kind == "corpus"} == set(corpus_names()) - {"table"}
    assert all(origin.source and origin.what for origin in origins().values())


@pytest.mark.parametrize(
    ("backbone", "layout", "verdict", "why"),
    [
        ("byol", "mosei", "possible", "trained on speech of AudioSet, and both were taken from YouTube"),
        ("ge2e", "mosei", "possible", "VoxCeleb2, and both were taken from YouTube"),
        ("wav2vec", "mosei", "no", "trained on LibriSpeech 960 h"),
        ("byol", "emodb", "no", "trained on speech of AudioSet"),
        ("allosaurus", "emodb", "unknown", "nothing more is known of the network"),
        ("wav2vec", "table", "unknown", "nothing more is known of the corpus"),
    ],
)  # fmt: skip
def test_what_both_took_from_one_place_may_be_in_both(backbone, layout, verdict, why):
    found, said = read_before(weights(backbone), layout, synthetic=False)
    assert found == verdict
    assert said.endswith(why)


def test_stand_ins_have_read_nothing_and_weights_of_no_release_anything():
    assert read_before(weights("byol", synthetic=True), "mosei", False)[0] == "no"
    assert read_before(weights("byol", release="stand-in"), "mosei", False)[0] == "no"
    assert read_before(weights("byol"), "mosei", True)[0] == "no"
    assert read_before(weights("byol", release="unknown"), "emodb", False)[0] == "unknown"


def test_of_several_networks_the_worst_counts_and_all_are_named():
    networks = [weights(name) for name in ("wav2vec", "byol", "allosaurus")]
    verdict, said = told(networks, "mosei", False)
    assert verdict == "possible"
    assert [part.partition(":")[0] for part in said.split("; ")][:2] == ["wav2vec", "byol"]
    assert told([], "mosei", False) == ("", "")
    # that nothing is known is worse than no
    for names in (("wav2vec", "allosaurus"), ("allosaurus", "wav2vec")):
        assert told([weights(name) for name in names], "mosei", False)[0] == "unknown"


# Plans and studies


def test_every_study_says_who_is_in_its_fits_and_what_its_cells_owe_to_others():
    plans = read_config()[0].plans()
    assert len(plans) >= 5
    for name, plan in plans.items():
        assert callable(importlib.import_module(f"serflow.studies.{name}.members").members)
        exposures = [plan.exposure(cell) for cell in plan.cells()]
        for exposure in exposures:
            assert set(exposure.statistics.values()) <= {"training", "utterance", "corpus", "none"}
            assert exposure.chosen_on in ("val", "test", None)
            assert set(exposure.networks) <= set(backbone_names())
        rests_on = {network for exposure in exposures for network in exposure.networks}
        assert rests_on <= {*plan.sources(), "deepspeech", "wav2vec2_ctc", "bert"}


def test_statistics_of_the_whole_corpus_are_said_to_have_seen_the_test():
    plan = read_config(arguments=["features={byol: {backbone: byol, standardise: corpus}}"])[0].plans()["multigating"]
    found = {cell: plan.exposure(cell).statistics for cell in plan.cells()}
    with_byol = [statistics for statistics in found.values() if "byol" in statistics]
    assert with_byol
    assert {statistics["byol"] for statistics in with_byol} == {"corpus"}
    usual = read_config()[0].plans()["multigating"]
    assert all("corpus" not in usual.exposure(cell).statistics.values() for cell in usual.cells())


def test_a_plain_classifier_is_standardised_by_training_and_chooses_no_epoch_whatever_networks_do():
    changed = {
        "invariance": ["invariance={cmvn: utterance, systems: [ser_only], controls: [svc]}"],
        "temporal": ["temporal={controls: [svc]}"],
        "multigating": ["multigating={standardise: none, controls: [svc]}"],
        "dlc": ["dlc={controls: [svc]}"],
    }
    for study, arguments in changed.items():
        plan = read_config(arguments=arguments)[0].plans()[study]
        found = [plan.exposure(cell) for cell in plan.cells() if "svc" in cell]
        assert found
        assert {(of, each.chosen_on) for each in found for of in each.statistics.values()} == {("training", None)}


def test_a_plan_remarks_what_tables_of_utterances_do_not_tell():
    plans = read_config(arguments=["dlc={controls: [single_clean]}"])[0].plans()
    of_cells = {study: {cell: plan.exposure(cell) for cell in plan.cells()} for study, plan in plans.items()}
    assert {exposure.remark for exposure in of_cells["speakernorm"].values()} == {
        "the last update is reported; the one that best.csv has beside it is chosen on test"
    }
    joint = [cell for cell, exposure in of_cells["multigating"].items() if "trained on" in exposure.remark]
    assert joint
    assert {len(plans["multigating"].corpora_of(cell)) > 1 for cell in joint} == {True}
    assert {cell.method for cell, exposure in of_cells["dlc"].items() if not exposure.hears_noise} == {"single_clean"}
    held_out = read_config(arguments=["speakernorm={watch: held_out}"])[0].plans()["speakernorm"]
    assert all(held_out.exposure(cell).remark.endswith("is chosen on val") for cell in held_out.cells())


# Rows


def examples(n=8):
    facts = dict.fromkeys(FACTS, [None] * n) | {
        "speaker": list("AABBCCDD"), "session": list("11112222"), "sentence": ["s1", "s2"] * 4,
        "text": ["One.", "two", "one", "TWO", "one", "two", None, "three"], "style": ["read"] * n,
        "duplicate_of": [None] * 6 + ["u0", None],
    }  # fmt: skip
    return Examples("toy", [f"u{place}" for place in range(n)], ("a", "b"), np.eye(2)[[0, 1] * 4], facts, {})


class Fake(Trained):
    """A cell whose noise plan is told."""

    def planned(self, column, names):
        return ["rain", "rain", "wind", "rain", "rain", "wind", "wind", "dog"]


def rows_of(tmp_path, monkeypatch, fits, tested=None, near=(), rejected=(), **exposed):
    made = Fake({"corpus": "toy", "system": "x"}, {}, [0], tmp_path, tmp_path, [], tmp_path, rejected)
    monkeypatch.setattr(audit, "read_metadata", lambda path: {"synthetic": False, "layout": "mosei"})
    monkeypatch.setattr(audit, "_tested", lambda cell, examples: tested or {})
    monkeypatch.setattr(
        audit.importlib,
        "import_module",
        lambda name: type("Module", (), {"members": staticmethod(lambda cell: (examples(), fits))}),
    )
    exposure = Exposure({"byol": "corpus", "mfcc": "training"}, "val", ["byol"], **exposed)._asdict()
    found = list(audit.audit_cells("toy", [made], [exposure], {"byol": weights("byol")}, {"toy": near}))
    columns = audit.columns_of([made])
    return [dict(zip(columns, row, strict=True)) for row in found]


def fit(train, val, test):
    return FoldRows(FitName(0, "1"), *(np.array(part, dtype=np.int64) for part in (train, val, test)))


def test_a_row_a_pair_of_sets_says_what_they_share(tmp_path, monkeypatch):
    train_test, train_val, val_test = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3, 4], [5, 6, 7])])
    assert [(row["first"], row["second"]) for row in (train_test, train_val, val_test)] == list(audit.PAIRS)
    assert (train_test["system"], train_test["fold"], train_test["n_first"], train_test["n_second"]) == ("x", "1", 3, 3)
    shared = {name: train_test[f"shared_{name}s"] for name in audit.COUNTED}
    assert shared == {
        "speaker": 0, "session": 0, "dialogue": None, "sentence": 2, "transcript": 1, "clip": 1, "recording": 1,
        "near_recording": 1,
    }  # fmt: skip
    assert (train_test["second_sentences"], train_test["utterances_of_shared_sentences"]) == (2, 3)
    assert (train_test["second_clips"], train_test["utterances_of_shared_clips"]) == (2, 2)
    assert (train_val["shared_speakers"], train_val["utterances_of_shared_speakers"]) == (1, 1)
    assert (train_test["statistics"], train_test["statistics_saw_test"]) == ("byol: corpus; mfcc: training", True)
    assert (train_test["epoch_chosen_on"], train_test["networks_read_corpus"]) == ("val", "possible")


def test_near_identical_utterances_are_counted_with_identical_ones(tmp_path, monkeypatch):
    row, *_ = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])], near=[("u2", "u7"), ("u9", "u5")])
    assert (row["shared_recordings"], row["utterances_of_shared_recordings"]) == (1, 1)
    assert (row["shared_near_recordings"], row["utterances_of_shared_near_recordings"]) == (2, 2)


def test_what_was_scored_is_tested_and_what_was_predicted_to_route_by_is_not(tmp_path, monkeypatch):
    tested = {(0, "1", "test"): np.array([6, 7])}
    row, *_ = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])], tested)
    assert (row["n_second"], row["second_speakers"], row["note"]) == (2, 1, "")


@pytest.mark.parametrize(("role", "place", "pair"), [("train", 0, 0), ("val", 1, 1), ("test", 2, 0)])
def test_who_was_left_out_is_counted_in_no_set(tmp_path, monkeypatch, role, place, pair):
    """Whoever shares a speaker, a sentence or a recording with another set and is in no fit has leaked nothing."""
    sets, alone = [[0, 2], [4], [6]], {"train": "u1", "val": "u5", "test": "u7"}[role]
    without = rows_of(tmp_path, monkeypatch, [fit(*sets)])
    sets[place].append(int(alone[1:]))
    both = rows_of(tmp_path, monkeypatch, [fit(*sets)])
    assert (both[pair]["n_first"], both[pair]["n_second"]) != (without[pair]["n_first"], without[pair]["n_second"])
    found = rows_of(tmp_path, monkeypatch, [fit(*sets)], rejected=[alone])
    assert {row.pop("note") for row in without} == {""}
    assert {row.pop("note") for row in found} == {f"left out for their audio or their words: 1 of {role}"}
    assert found == without
    assert "see `note` in 3 of 3 rows" in summary("Toy", {"toy": "T"}, [{**row, "note": "x"} for row in found])


def test_what_hears_clean_audio_shares_no_clips(tmp_path, monkeypatch):
    row, *_ = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])], hears_noise=False)
    assert (row["second_clips"], row["shared_clips"]) == (None, None)


def test_remarks_of_the_plan_are_on_the_page(tmp_path, monkeypatch):
    rows = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])], remark="there is more to it")
    assert {(row["remark"], row["note"]) for row in rows} == {("there is more to it", "")}
    page = summary("Toy", {"toy": "Toy corpus"}, rows)
    assert "- There is more to it.\n" in page
    assert "see `note`" not in page


def test_codes_of_scenes_are_no_sentences(tmp_path, monkeypatch):
    made = examples()
    made.facts["style"] = ["read", "improvised"] * 4
    monkeypatch.setitem(globals(), "examples", lambda: made)
    row, *_ = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])])
    assert (row["second_sentences"], row["utterances_of_shared_sentences"]) == (1, 1)


def test_the_summary_says_the_most_that_is_shared_and_what_scores_owe(tmp_path, monkeypatch):
    fits = [fit([0, 1, 2], [3], [5, 6, 7]), fit([0, 1, 2, 5], [3], [4, 6, 7])]
    page = summary("Toy", {"toy": "Toy corpus", "other": "Other"}, rows_of(tmp_path, monkeypatch, fits))
    assert page.startswith("# Audit of the Toy study\n")
    assert "## Toy corpus" in page
    assert "Other" not in page
    heading, _, train_test, *_ = (line for line in page.splitlines() if line.startswith("|"))
    cells = dict(zip(heading.split(" | "), train_test.split(" | "), strict=True))
    assert cells["| sets"] == "| train, test"
    assert (cells["speakers"], cells["dialogues"]) == ("1 of 2 (33 %)", "-")
    assert (cells["clips"], cells["recordings"]) == ("1 of 2 (67 %)", "1 of 3 (33 %)")
    for said in ("byol: corpus; mfcc: training.", "chosen on: val.", "read the corpus: possible (byol: trained on"):
        assert said in page


def test_whose_epoch_is_chosen_otherwise_than_most_is_named(tmp_path, monkeypatch):
    rows = [{**row, "system": "dat"} for row in rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])])]
    plain = [{**row, "system": "svc", "epoch_chosen_on": "none"} for row in rows[:2]]
    assert "- The epoch is chosen on: val; none (svc).\n" in summary("Toy", {"toy": "Toy"}, [*plain, *rows])
    assert "- The epoch is chosen on: val.\n" in summary("Toy", {"toy": "Toy"}, rows)


def test_the_most_is_by_share_of_who_is_tested_and_experiments_stand_apart(tmp_path, monkeypatch):
    (row, *_) = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])])

    def tested(second, shared, of, **more):
        counts = {"second_speakers": 9, "shared_speakers": shared, "utterances_of_shared_speakers": of}
        return {**row, "n_second": second, **counts, **more}

    given = [tested(10, 2, 4), tested(3, 1, 3), tested(4, 0, 0)]
    (line,) = (line for line in summary("Toy", {"toy": "T"}, given).splitlines() if line.startswith("| train, test"))
    assert line.split(" | ")[1] == "1 of 9 (100 %)"
    (line,) = (
        line for line in summary("Toy", {"toy": "T"}, given[2:]).splitlines() if line.startswith("| train, test")
    )
    assert line.split(" | ")[1] == "0"
    for field in ("experiment", "folds"):
        apart = [tested(10, 2, 4, **{field: "one"}), tested(10, 1, 1, **{field: "other"})]
        page = summary("Toy", {"toy": "T"}, apart)
        assert f"| {field} | sets |" in page
        assert "| one | train, test | 2 of 9 (40 %) |" in page
        assert "| other | train, test | 1 of 9 (10 %) |" in page


def test_networks_are_named_once_and_only_where_there_are_any(tmp_path, monkeypatch):
    (row, *_) = rows_of(tmp_path, monkeypatch, [fit([0, 1, 2], [3], [5, 6, 7])])
    none = {**row, "networks": "", "networks_read_corpus": ""}
    other = {**row, "networks": "ge2e: trained on X", "networks_read_corpus": "no"}
    said = [line for line in summary("Toy", {"toy": "T"}, [none, row, row, other]).splitlines() if "Pretrained" in line]
    assert [line.partition(": ")[2].partition(" (")[0] for line in said] == ["possible", "no"]
    assert "Pretrained" not in summary("Toy", {"toy": "T"}, [none])


def test_an_empty_set_has_no_row(tmp_path, monkeypatch):
    found = rows_of(tmp_path, monkeypatch, [fit([0], [], [1])])
    assert [(row["first"], row["second"]) for row in found] == [("train", "test")]


# Cells as they were trained

UTTERANCES = [
    {UTTERANCE: f"{speaker}{place}", "speaker": speaker, "session": str(1 + (speaker in "CD")), "text": f"Say {place}.",
     "emotion": ("anger", "sadness")[place % 2], "style": "improvised", "gender": ("female", "male")[speaker in "BD"]}
    for speaker in "ABCD" for place in range(4)
]  # fmt: skip
ROLES = {**dict.fromkeys("AB", "train"), "C": "val", "D": "test"}
LANGUAGE = {"corpus": "toy", "units": 8, "activations": ["mish", "relu"], "alpha": 0.1}
OPTIONS = {"training": {"device": "cpu"}}
CELLS = {
    "dlc": ({"experiment": "exp1", "method": "single", "corpus": "toy", "profile": "h1"}, OPTIONS),
    "invariance": ({"system": "ser_only", "corpus": "toy", "variant": "main"}, OPTIONS),
    "temporal": ({"system": "spectrogram", "corpus": "toy", "variant": "plain"}, OPTIONS),
    "multigating": ({"system": "sb", "corpus": "toy", "variant": "main"}, {"languages": {"english": LANGUAGE}}),
    "speakernorm": ({"case": "baseline", "corpus": "toy", "folds": "speaker_fold"}, OPTIONS),
}


def write_trained(folder, study, rejected=(), **changed):
    cell, options = CELLS[study]
    names = [row[UTTERANCE] for row in UTTERANCES]
    tested = [name for name in names if name[0] == "D"]
    roles = {name: ROLES[name[0]] for name in names if study != "speakernorm" or ROLES[name[0]] != "val"}
    noise = [(name, "natural", f"clip{place % 5}", 10.0) for place, name in enumerate(names)]
    tables = {
        "utterances": write_utterances(folder, rows=UTTERANCES),
        "splits": (write_split(folder, {"D": {**dict.fromkeys(names, "train"), **roles}}),),
        "plan": write_noise_plan(folder, noise),
    }
    if study != "dlc":
        del tables["plan"]
    results = [predicted([(name, (1.0, 0.0), 0) for name in tested], run, "D", n_classes=2) for run in (0, 1)]
    sources = {**gather(tables).sources, **changed}
    files = write_cell(
        folder, cell, results, study=study, classes=("a", "b"), options=options,
        provenance=Provenance(sources=sources), rejected=rejected,
    )  # fmt: skip
    return files.predictions, [
        path for paths in tables.values() for path in ([paths] if isinstance(paths, Path) else paths)
    ]


def test_all_studies_are_tried():
    assert set(CELLS) == set(read_config()[0].plans())


@pytest.mark.parametrize("study", CELLS)
def test_who_is_in_the_sets_of_a_cell_is_told_by_the_tables_that_it_was_trained_from(tmp_path, study):
    predictions, tables = write_trained(tmp_path, study)
    trained = Tables(tables).of(predictions, study)
    assert (trained.utterances, list(trained.splits), trained.corpus) == (tables[0], [tables[1]] * 2, "toy")
    found, fits = importlib.import_module(f"serflow.studies.{study}.members").members(trained)
    assert [rows.fit.run for rows in fits] == [0, 1]
    for rows in fits:
        said = {role: {found.utterances[row][0] for row in part} for role, part in rows.roles().items()}
        assert said["test"] == {"D"}
        # speakernorm has held-out utterances of the training speakers in the place of validation
        assert said["train"] | said["val"] == {"A", "B", "C"}
        assert (said["val"] == {"C"}) is (study != "speakernorm")


@pytest.mark.parametrize("study", CELLS)
def test_the_rows_of_a_cell(tmp_path, study):
    predictions, tables = write_trained(tmp_path, study)
    trained = Tables(tables).of(predictions, study)
    exposure = Exposure({"mfcc": "training"}, None)._asdict()
    rows = list(audit.audit_cells(study, [trained], [exposure], {}, {"toy": [("A0", "D0")]}))
    found = [dict(zip(audit.columns_of([trained]), row, strict=True)) for row in rows]
    assert len(found) == 6
    first = found[0]
    assert (first["first"], first["second"], first["n_second"]) == ("train", "test", 4)
    assert (first["shared_speakers"], first["shared_transcripts"], first["shared_near_recordings"]) == (0, 4, 1)
    assert (first["shared_clips"] is None) is (study != "dlc")
    assert (first["epoch_chosen_on"], first["networks"], first["note"]) == ("none", "", "")


@pytest.mark.parametrize("study", CELLS)
def test_the_sets_of_a_cell_lack_whom_its_run_left_out(tmp_path, study):
    predictions, tables = write_trained(tmp_path, study, rejected=["A0", "A1"])
    trained = Tables(tables).of(predictions, study)
    rows = list(audit.audit_cells(study, [trained], [Exposure({}, None)._asdict()], {}, {"toy": []}))
    found = [dict(zip(audit.columns_of([trained]), row, strict=True)) for row in rows]
    sizes = {(row["run"], row["first"]): row["n_first"] for row in found}
    sizes.update({(row["run"], row["second"]): row["n_second"] for row in found})
    assert [sum(sizes[run, role] for role in ("train", "val", "test")) for run in (0, 1)] == [14, 14]
    assert all(row["note"].startswith("left out for their audio or their words: ") for row in found)


@pytest.mark.parametrize(
    ("source", "what"), [("splits/0", "split"), ("utterances", "utterance table"), ("plan", "noise plan")]
)
def test_a_cell_that_was_trained_on_other_tables_is_refused(tmp_path, source, what):
    predictions, tables = write_trained(tmp_path, "dlc", **{source: "0" * 64})
    with pytest.raises(StoreError, match=rf"trained from another {what} of toy than there is now; delete it and run"):
        Tables(tables).of(predictions, "dlc")


def test_a_run_has_its_own_split_of_more_than_ten(tmp_path):
    names = [row[UTTERANCE] for row in UTTERANCES]
    splits = []
    for run in range(12):
        (tmp_path / str(run)).mkdir()
        roles = {**dict.fromkeys(names, "train"), names[run]: "test"}
        splits.append(write_split(tmp_path / str(run), {"D": roles}))
    utterances = write_utterances(tmp_path, rows=UTTERANCES)
    results = [predicted([(names[run], (1.0, 0.0), 0)], run, "D", n_classes=2) for run in range(12)]
    cell, options = CELLS["temporal"]
    files = write_cell(
        tmp_path, cell, results, study="temporal", classes=("a", "b"), options=options,
        provenance=gather({"utterances": utterances, "splits": splits}),
    )  # fmt: skip
    assert list(Tables([utterances, *splits]).of(files.predictions, "temporal").splits) == splits
    # a split that is there no longer is not taken from another run
    for given in (splits[:1], splits[1:]):
        with pytest.raises(StoreError, match="trained from another split of toy than there is now"):
            Tables([utterances, *given]).of(files.predictions, "temporal")


def test_predictions_of_another_study_are_refused(tmp_path):
    predictions, tables = write_trained(tmp_path, "dlc")
    with pytest.raises(StoreError, match="study is 'dlc' where 'temporal' was asked for"):
        Tables(tables).of(predictions, "temporal")
