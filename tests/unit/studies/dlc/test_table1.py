"""Table I and the noise classifier's accuracy as the plan lays them out, of made-up runs."""

import pytest

from made_up_runs import PARTIAL, STAND_IN_WEIGHTS, SYNTHETIC, SYNTHETIC_NOISE, write_scores
from serflow.config import check_config
from serflow.errors import StoreError
from serflow.noise.plan import CONDITIONS
from serflow.report.comparison import beside_paper
from serflow.report.tables import fill, in_shape, read_published, taken_in
from serflow.runs.scores import read_runs
from serflow.studies.dlc.plan import CORPORA, PROFILES

REAL = {name: {"root": f"/data/{name}"} for name in (*CORPORA, "emodb")}


def plan(methods=("single",), corpora=CORPORA, profiles=PROFILES, controls=(), **more):
    dlc = {
        "methods": list(methods),
        "corpora": list(corpora),
        "profiles": list(profiles),
        "controls": list(controls),
        **more,
    }
    return check_config({"dlc": dlc, "corpora": REAL}).plans()["dlc"]


def write(folder, asked, table="table1", runs=(0, 1), provenance=None, **said):
    """UA is 50 %, in the second run 52 %; the oracle's is 60 %, chance a third."""
    return [
        write_scores(
            folder,
            cell._asdict(),
            {
                run: dict.fromkeys(["none"] if cell.experiment == "exp1" else CONDITIONS, 0.5 + 0.02 * run)
                for run in runs
            },
            measures={"chance": 1 / 3, "oracle": 0.6},
            provenance=(provenance or {}).get(cell.corpus),
            **said,
        )
        for cell in asked.cells(table)
    ]


def compare(folder, asked, table="table1", **said):
    """Lines by experiment, method and column."""
    layout = asked.layout(table)._replace(departures={})
    filled = fill(layout, read_runs(write(folder, asked, table, **said)))
    published = read_published("dlc", table, len(layout.corner))
    heading, lines = beside_paper(filled, published)
    n = len(layout.corner) + 1
    return {tuple(line[:n]): dict(zip(heading, line, strict=True)) for line in lines}


def test_a_table_takes_in_all_cells_and_has_the_papers_shape(tmp_path):
    asked = plan(["moe_dlc", "single"], ["emodb", "iemocap"], ["h1"], controls=["oracle_gate", "chance"])
    runs = read_runs(write(tmp_path, asked, provenance={"emodb": SYNTHETIC}))
    filled = fill(asked.layout("table1"), runs)
    assert {run.name for run in taken_in(filled)} == {run.name for run in runs}
    heading, lines = in_shape(filled, {})
    assert heading == [
        "Experiment", "Method", "EmoDB (synthetic) h1", "IEMOCAP h1", "Overall (synthetic) h1", "Overall (synthetic)",
    ]  # fmt: skip
    ours, oracle, chance = (["51.00"] * 4, ["60.00"] * 4, ["33.33"] * 4)
    assert lines == [
        ["1", "Single", *ours],
        ["1", "MoE-DLC", *ours],
        ["1", "Chance", *chance],
        ["1", "MoE-DLC (oracle gate)", *oracle],
        ["2", "Single", *ours],
        ["2", "MoE-DLC", *ours],
        ["2", "Chance", *chance],
    ]


def test_a_hole_is_named(tmp_path):
    asked = plan(profiles=["h1"])
    paths = [path for path in write(tmp_path, asked) if "exp2/single/mosei/h1" not in path.as_posix()]
    with pytest.raises(StoreError, match="experiment exp2, method single, corpus mosei, profile h1 is missing"):
        fill(asked.layout("table1"), read_runs(paths))


def test_the_papers_own_corpora_are_compared(tmp_path):
    found = compare(tmp_path, plan())
    assert found["1", "Single", "MSP-Improv h1"] == {
        "experiment": "1", "method": "Single", "column": "MSP-Improv h1", "ours_mean": "51.00", "ours_std": "1.41",
        "n_runs": 2, "paper": "51.39", "paper_std": "", "difference": "-0.39", "note": "",
    }  # fmt: skip
    overall = found["1", "Single", "Overall"]
    assert (overall["paper"], overall["difference"], overall["note"]) == ("51.82", "-0.82", "")
    assert len(found) == 2 * 13
    assert all(line["note"] == "" for line in found.values())


@pytest.mark.parametrize(
    ("part", "note"),
    [
        (SYNTHETIC, "synthetic stand-in{}: not compared"),
        (PARTIAL, "partial corpus{}: not compared"),
        (SYNTHETIC_NOISE, "synthetic noise: not compared"),
        (STAND_IN_WEIGHTS, "stand-in weights of bert: not compared"),
    ],
)
def test_other_data_are_not_compared_nor_are_means_with_them(tmp_path, part, note):
    found = compare(tmp_path, plan(profiles=["h1"]), provenance={"iemocap": part})
    beside = ("paper", "difference", "note")
    assert [found["1", "Single", "IEMOCAP h1"][name] for name in beside] == ["58.29", "", note.format("")]
    assert [found["1", "Single", "CMU-MOSEI h1"][name] for name in beside] == ["42.25", "8.75", ""]
    overall = [found["1", "Single", "Overall h1"][name] for name in beside]
    assert overall == ["50.64", "", note.format(" among the corpora")]


def test_another_corpus_is_not_compared_and_neither_is_a_mean_with_it(tmp_path):
    found = compare(tmp_path, plan(corpora=[*CORPORA, "emodb"]))
    assert found["1", "Single", "EmoDB h1"]["note"] == "not a corpus of the paper"
    assert found["1", "Single", "IEMOCAP h1"]["paper"] == "58.29"
    assert found["1", "Single", "Overall h1"]["note"] == "not the paper's three corpora"
    assert found["1", "Single", "Overall h1"]["paper"] == ""


def test_a_mean_over_fewer_corpora_is_not_compared(tmp_path):
    assert compare(tmp_path, plan(corpora=CORPORA[:2]))["1", "Single", "Overall"]["paper"] == ""


@pytest.mark.parametrize(
    ("controls", "row"), [(["single_wide"], "Single (width-matched)"), (["chance"], "Chance")], ids=["trained", "read"]
)
def test_a_row_of_ours_is_not_compared(tmp_path, controls, row):
    found = compare(tmp_path, plan(profiles=["h1"], controls=controls))
    notes = {line["note"] for name, line in found.items() if name[1] == row and name[2] != "Overall"}
    assert notes == {"not a row of the paper"}
    assert {line["paper"] for name, line in found.items() if name[1] == row} == {""}


def test_other_profiles_are_not_compared(tmp_path):
    found = compare(tmp_path, plan(profiles=["h1", "h2"]))
    assert found["1", "Single", "Overall"]["note"] == "not the paper's three profiles"
    assert found["1", "Single", "Overall h1"]["paper"] == "50.64"


def test_noise_accuracy_is_beside_the_papers_in_the_mean_of_experiment_1_only(tmp_path):
    found = compare(tmp_path, plan(["moe_dlc"]), "noise_classifier")
    assert len(found) == 2 * 13
    compared = {name: line for name, line in found.items() if line["paper"]}
    assert list(compared) == [("1", "Overall")]
    assert (compared["1", "Overall"]["ours_mean"], compared["1", "Overall"]["paper"]) == ("51.00", "87.00")
    assert found["1", "IEMOCAP h1"]["note"] == "not printed in the paper"


@pytest.mark.parametrize(
    ("asked", "provenance"),
    [
        ({"corpora": ["iemocap"]}, {}),
        ({"profiles": ["h1", "h2"]}, {}),
        ({}, {"mosei": SYNTHETIC}),
        ({}, {"mosei": PARTIAL}),
    ],
)
def test_noise_accuracy_of_other_data_is_not_compared(tmp_path, asked, provenance):
    found = compare(tmp_path, plan(["moe_dlc"], **asked), "noise_classifier", provenance=provenance)
    assert {line["difference"] for line in found.values()} == {""}
    # of other corpora or profiles the paper has no mean
    assert {line["paper"] for line in found.values()} == ({""} if asked else {"", "87.00"})
