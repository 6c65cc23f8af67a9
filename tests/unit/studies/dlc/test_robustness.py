"""Curves, shares and matrices of predictions that are made up, whose numbers are known."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serflow.config import check_config
from serflow.errors import ConfigError
from serflow.report.style import figure_style, method_looks
from serflow.stores.parquet import write_table
from serflow.studies.dlc import robustness, shift
from serflow.studies.dlc.asked_in_noise import sweep_facts, sweep_options, swept_cells
from serflow.studies.dlc.robustness import robustness_table, spread_out, unchanged_share
from serflow.studies.dlc.shift import HEARD, TRUE, shares, shift_counts, shift_table
from serflow.studies.dlc.sweep_schema import SWEEP_KIND, SWEEP_SCHEMA
from serflow.studies.dlc.swept import read_swept

CLASSES = ["anger", "joy"]
FACTS = {
    "methods": {"single": "Single", "single_clean": "Single (clean audio)", "moe_dlc": "MoE-DLC"},
    "trained_on": {"single": "h1", "single_clean": "clean", "moe_dlc": "h1"},
    "corpora": {"toy": "Toy"},
    "unit": "speaker",
}
PROVENANCE = {
    "stand_ins": {"corpus": ["toy"]}, "partial": [], "remarks": ["a remark"], "sources": {}, "raised_db": [25.0],
}  # fmt: skip
LABELS = ["anger"] * 4 + ["joy"] * 4
SAID = {
    None: LABELS,
    # one of the four that were heard as anger is heard as joy
    10.0: ["joy", *["anger"] * 3, *["joy"] * 4],
    # everything is anger
    -5.0: ["anger"] * 8,
}


def write_sweep(
    path,
    method="single",
    said=SAID,
    runs=(0, 1),
    oracle=None,
    kinds=("natural", "human"),
    corpus="toy",
    made_of=PROVENANCE,
):
    lines = [
        {
            "run": run, "fold": "none", "utterance": f"u{i}", "condition": kind, "snr_db": snr_db,
            "achieved_snr_db": snr_db, "clip": None if snr_db is None else "c",
            "target": [float(label == name) for name in CLASSES], "label": label, "prediction": predicted,
            "probabilities": [0.5, 0.5], "gate": None if oracle is None else kind,
            "oracle_prediction": None if oracle is None else oracle[snr_db][i],
        }
        for kind in kinds
        for snr_db, predictions in said.items()
        for run in runs
        for i, (label, predicted) in enumerate(zip(LABELS, predictions, strict=True))
    ]  # fmt: skip
    cell = {"experiment": "exp1", "method": method, "corpus": corpus, "profile": "h1"}
    metadata = {"study": "dlc", "cell": cell, "classes": CLASSES, "provenance": made_of}
    write_table(path, pa.Table.from_pylist(lines, schema=SWEEP_SCHEMA), kind=SWEEP_KIND, metadata=metadata)
    return path


@pytest.fixture
def utterances(tmp_path):
    table = pa.table(
        {
            "utterance": [f"u{i}" for i in range(8)],
            "dialogue": pa.array([None] * 8, pa.string()),
            "speaker": [f"s{i % 4}" for i in range(8)],
        }
    )
    path = tmp_path / "utterances.parquet"
    write_table(
        path, table, kind="utterances", metadata={"corpus": "toy", "synthetic": True, "partial": False, "warnings": []}
    )
    return path


def points(paths, utterances):
    clusters = robustness.clusters_by_corpus([utterances], "speaker")
    found = robustness_table([read_swept(path) for path in paths], clusters, FACTS, replicates=200)
    return {name: of_line.set_index("snr_db") for name, of_line in found.groupby(["method", "noise"])}


def test_scores_and_what_stays_are_those_of_the_predictions(tmp_path, utterances):
    found = points([write_sweep(tmp_path / "single.parquet")], utterances)
    for kind in ("natural", "human"):
        of_kind = found["Single", kind]
        assert of_kind["ua"].tolist() == [100.0, 87.5, 50.0]
        assert of_kind["unchanged"].tolist() == [100.0, 87.5, 50.0]
        assert of_kind["chance"].eq(50.0).all()
        assert of_kind["n_utterances"].eq(8).all()
        assert of_kind["n_runs"].eq(2).all()
        assert of_kind.loc[10.0, "low"] <= 87.5 <= of_kind.loc[10.0, "high"]
        assert of_kind.loc[10.0, "low"] < of_kind.loc[10.0, "high"]
        assert (
            of_kind["note"].eq("cluster: speaker; few clusters: 4 in the smallest test set; synthetic; a remark").all()
        )
        assert of_kind["trained_on"].eq("h1 (SNR +25 dB)").all()


def test_what_is_not_real_stands_in_the_numbers_and_on_the_pictures(tmp_path, utterances):
    """Of noise and weights too; what was trained on clean audio heard no levels that were raised."""
    made_of = {**PROVENANCE, "stand_ins": {"noise": ["ESC-50"], "weights": ["bert"]}}
    paths = [write_sweep(tmp_path / f"{name}.parquet", name, made_of=made_of) for name in ("single", "single_clean")]
    files = [module.Files(tuple(paths), (utterances,)) for module in (robustness, shift)]
    with figure_style():
        drawn = [module.make_figure(of, FACTS) for module, of in zip((robustness, shift), files, strict=True)]
    for figure, table in drawn:
        assert "synthetic noise · stand-in weights" in [text.get_text() for text in figure.texts]
        assert table["note"].str.endswith("synthetic noise; stand-in weights; a remark").all()
        heard = dict(zip(table["method"], table["trained_on"], strict=True))
        assert heard == {"Single": "h1 (SNR +25 dB)", "Single (clean audio)": "clean"}


def test_a_mixture_has_a_line_by_its_gate_and_one_by_the_true_kind(tmp_path, utterances):
    oracle = {None: LABELS, 10.0: LABELS, -5.0: LABELS}
    found = points([write_sweep(tmp_path / "moe.parquet", "moe_dlc", oracle=oracle)], utterances)
    assert found["MoE-DLC", "natural"]["ua"].tolist() == [100.0, 87.5, 50.0]
    assert found["MoE-DLC (oracle gate)", "natural"]["ua"].tolist() == [100.0] * 3
    assert found["MoE-DLC (oracle gate)", "natural"]["unchanged"].tolist() == [100.0] * 3


def test_what_stays_is_a_share_of_what_was_said_right_or_wrong():
    assert unchanged_share(["a", "b", "b", "a"], ["a", "b", "a", "b"]) == 50.0
    assert unchanged_share(["b"] * 4, ["b"] * 4) == 100.0


def test_runs_are_compared_with_themselves(tmp_path, utterances):
    """Two runs that say the opposite of each other and stay with it have changed nothing."""
    path = write_sweep(tmp_path / "a.parquet", said=dict.fromkeys(SAID, LABELS), runs=(0,))
    other = write_sweep(tmp_path / "b.parquet", said=dict.fromkeys(SAID, LABELS[::-1]), runs=(1,))
    swept = read_swept(path)
    table = pa.concat_tables([swept.table, read_swept(other).table])
    both = swept._replace(table=table, frame=pd.concat([swept.frame, read_swept(other).frame], ignore_index=True))
    clusters = robustness.clusters_by_corpus([utterances], "speaker")
    assert robustness_table([both], clusters, FACTS, replicates=50)["unchanged"].eq(100.0).all()


def test_matrices_count_from_the_clean_prediction_and_from_the_true_class(tmp_path):
    table = shift_table([read_swept(write_sweep(tmp_path / "single.parquet"))], FACTS)
    assert set(table["snr_db"]) == {10.0, -5.0}
    found = table.set_index(["noise", "snr_db", "of", "from", "to"]).sort_index()
    assert found.loc["natural", 10.0, HEARD, "anger", "joy"][["count", "share"]].tolist() == [2, 25.0]
    assert found.loc["natural", 10.0, HEARD, "joy", "joy"][["count", "share"]].tolist() == [8, 100.0]
    assert found.loc["human", -5.0, TRUE, "joy", "anger"]["share"] == 100.0
    of_rows = table.groupby(["noise", "snr_db", "of", "from"])["share"].sum()
    assert of_rows.eq(100.0).all()


def test_a_class_that_was_never_said_has_no_shares():
    counts = shift_counts(["a", "a", "c"], ["a", "b", "a"], ["a", "b", "c"])
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert np.isnan(shares(counts)[1]).all()
    assert shares(counts)[0].tolist() == [50.0, 50.0, 0.0]


def test_names_that_would_overlap_are_set_apart_in_their_order():
    assert spread_out([50.0, 10.0, 90.0], 5.0) == [50.0, 10.0, 90.0]
    found = spread_out([50.0, 51.0, 49.0, 90.0], 5.0)
    assert np.diff(sorted(found)).min() == pytest.approx(5.0)
    assert found[2] < found[0] < found[1] < found[3] == 90.0
    assert np.mean(found[:3]) == pytest.approx(50.0)


def test_the_figures_say_what_they_are_of(tmp_path, utterances):
    paths = tuple(write_sweep(tmp_path / f"{name}.parquet", name) for name in ("single", "single_clean"))
    with figure_style():
        curves, table = robustness.make_figure(robustness.Files(paths, (utterances,)), FACTS)
        matrices, _ = shift.make_figure(shift.Files(paths, (utterances,)), FACTS)
    assert list(table) == robustness.COLUMNS
    for figure in (curves, matrices):
        texts = [text.get_text() for text in figure.texts]
        assert "synthetic" in texts
        # levels are those that were mixed; what networks were trained in was raised
        noted = [text for text in texts if "+25" in text]
        assert len(noted) == 1
        assert re.search(r"in\s+noise:?\s+\(?h1\s+\(SNR\s+\+25\s+dB\)", noted[0])
        assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["natural noise", "human noise"]
    last = curves.axes[1]
    assert {text.get_text() for text in last.texts} == {"Single", "Single (clean audio)"}
    assert [label.get_text() for label in last.get_xticklabels()] == ["\N{MINUS SIGN}5", "10", "clean"]
    assert last.get_xlim()[0] > last.get_xlim()[1]
    shown = [text.get_text() for text in matrices.axes[0].texts]
    assert shown == ["100", "0", "100", "0", "Toy", "Single"]


def test_lines_have_the_looks_of_their_methods_in_all_figures(tmp_path, utterances):
    """And dashes of their own: full in noise, dashed on clean audio, dotted by the true kind."""
    titles = {"single_wide": "Single (width-matched)", "single_shuffled": "Single (shuffled labels)"}
    more = {"methods": FACTS["methods"] | titles, "trained_on": FACTS["trained_on"] | dict.fromkeys(titles, "h1")}
    paths = [
        write_sweep(tmp_path / f"{name}.parquet", name, oracle=SAID if name == "moe_dlc" else None)
        for name in more["methods"]
    ]
    with figure_style():
        figure, _ = robustness.make_figure(robustness.Files(tuple(paths), (utterances,)), {**FACTS, **more})
    looks = method_looks(more["methods"].values())
    lines = [
        line for line in figure.axes[0].lines if line.get_marker() not in ("", "None") and len(line.get_xdata()) > 1
    ]
    drawn = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines]
    assert drawn == [
        (*looks[title], dashes)
        for title, dashes in [
            ("Single", "-"), ("Single (clean audio)", "--"), ("MoE-DLC", "-"), ("MoE-DLC", "--"),
            ("Single (width-matched)", "-"), ("Single (shuffled labels)", "-"),
        ]
    ]  # fmt: skip
    patterns = [line._unscaled_dash_pattern[1] for line in (lines[1], lines[3])]
    assert patterns == [(5, 1.6), (1.4, 1.4)]
    assert [line.get_markerfacecolor() == "white" for line in lines] == [False, True, False, False, False, False]


def test_no_name_lies_on_another_or_on_a_matrix(tmp_path):
    corpora = {"toy": "Toy (synthetic noise)", "real": "A corpus (partial)"}
    facts = {**FACTS, "corpora": corpora, "methods": {"single": "Single", "moe_dlc": "MoE-DLC"}}
    cells = [
        read_swept(write_sweep(tmp_path / f"{name}_{corpus}.parquet", name, oracle=oracle, corpus=corpus))
        for corpus in corpora
        for name, oracle in (("single", None), ("moe_dlc", SAID))
    ]
    with figure_style():
        figure = shift.draw_shift(shift_table(cells, facts), corpora, ["synthetic"])
        figure.draw_without_rendering()
        shown = [axes for axes in figure.axes if axes.axison]
        assert len(shown) == 2 * 3 * 2
        named = [text for axes in shown for text in axes.texts if not text.get_text().isdigit()]
        headings = [axes.title if axes.title.get_text() else axes._left_title for axes in shown]
        ticks = [label for axes in shown for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        words = [(text.get_text(), text.get_window_extent()) for text in (*named, *headings, *ticks) if text.get_text()]
        boxes = [("a matrix", axes.get_window_extent()) for axes in shown]
    methods = ["Single", "MoE-DLC", "MoE-DLC\n(oracle gate)"]
    assert sorted(text.get_text() for text in named) == sorted([*corpora.values(), *methods])
    # of each corpus kinds of noise are named once, classes once a column and once a row; names that lean do not touch
    # where their boxes do
    assert len(words) == 5 + 2 * 2 + 2 * (2 * 2 + 3 * 2)
    leaning = {text for text, box in words if text in CLASSES}
    apart = [
        (one, other)
        for i, (one, box) in enumerate(words)
        for other, beside in (*words[i + 1 :], *boxes)
        if box.overlaps(beside) and not {one, other} <= leaning
    ]
    assert apart == []


def test_a_method_that_a_corpus_does_not_have_leaves_its_place_empty(tmp_path):
    """And the classes of that corpus are named below its last matrix."""
    corpora = {"toy": "Toy", "real": "A corpus"}
    cells = [
        read_swept(write_sweep(tmp_path / f"{name}_{corpus}.parquet", name, corpus=corpus))
        for corpus, name in (("toy", "single"), ("toy", "moe_dlc"), ("real", "single"))
    ]
    with figure_style():
        figure = shift.draw_shift(shift_table(cells, {**FACTS, "corpora": corpora}), corpora)
    shown = [axes for axes in figure.axes if axes.axison]
    named = [[label.get_text() for label in axes.get_xticklabels() if label.get_text()] for axes in shown]
    # Single in two kinds of noise on both corpora, and below it the mixture on the first alone
    assert named == [[], [], CLASSES, CLASSES, CLASSES, CLASSES]


def test_the_stage_writes_figure_and_numbers(tmp_path, utterances):
    path = write_sweep(tmp_path / "single.parquet")
    for name, columns in (("robustness", robustness.COLUMNS), ("shift", shift.COLUMNS)):
        command = [
            sys.executable, "-m", "serflow.stages.plot_figure", "--study", "dlc", "--figure", name,
            "--inputs", f"predictions={path}", f"utterances={utterances}", "--facts", json.dumps(FACTS),
            "--code", "f" * 16, "--svg", tmp_path / f"{name}.svg", "--csv", tmp_path / f"{name}.csv",
        ]  # fmt: skip
        subprocess.run(command, check=True)
        lines = list(csv.reader((tmp_path / f"{name}.csv").read_text().splitlines()))
        assert lines[0] == columns
        assert lines[1][0] == "Toy"
        assert (tmp_path / f"{name}.svg").read_text().startswith("<?xml")


# What is asked for


def plan(dlc):
    return check_config({"dlc": dlc}).plans()["dlc"]


def test_by_default_all_networks_of_the_experiment_that_only_hear_are_asked():
    cells = swept_cells(plan({"corpora": ["iemocap"]}))
    assert [cell.method for cell in cells] == ["single", "moe_slc", "moe_dlc", "single_clean"]
    assert {(cell.experiment, cell.profile) for cell in cells} == {("exp1", "h1")}
    second = swept_cells(plan({"corpora": ["iemocap"], "robustness": {"experiment": "exp2", "profile": "h3"}}))
    assert {"dann", "maddog", "dsn_slc", "dsn_dlc"} <= {cell.method for cell in second}
    assert not any(cell.method.startswith("hffn") for cell in [*cells, *second])
    assert {cell.profile for cell in second} == {"h3"}


def test_what_no_table_has_is_asked_only_where_it_is_named():
    """Else networks would be trained for curves alone."""
    trained = {"corpora": ["iemocap"], "experiments": ["exp2"], "methods": ["single", "dann"]}
    with pytest.raises(ConfigError, match=r"dlc\.robustness\.methods: no method is trained in exp1"):
        swept_cells(plan({**trained, "controls": []}))
    second = swept_cells(plan({**trained, "controls": [], "robustness": {"experiment": "exp2"}}))
    assert [cell.method for cell in second] == ["single", "dann"]
    named = swept_cells(plan({**trained, "robustness": {"methods": ["single"]}}))
    assert [cell.experiment for cell in named] == ["exp1"]


def test_no_table_depends_on_what_is_asked_afterwards():
    asked, default = plan({"robustness": {"methods": ["single"], "snr_db": [3.0]}}), plan({})
    assert asked.cells() == default.cells()
    assert [asked.options(cell) for cell in asked.cells()] == [default.options(cell) for cell in default.cells()]
    assert asked.departures("iemocap") == default.departures("iemocap")
    assert asked.targets() == default.targets()


def test_what_routes_is_told_with_what_is_routed():
    found = plan({"corpora": ["iemocap"]})
    single, _, moe, _ = swept_cells(found)
    assert sweep_options(found, single)["gate_options"] is None
    assert sweep_options(found, moe)["gate_options"] == found.options(moe._replace(method="noise_classifier"))
    assert sweep_facts(found)["trained_on"] == {
        "single": "h1", "moe_slc": "h1", "moe_dlc": "h1", "single_clean": "clean"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"methods": ["hffn_single"]}, r"dlc\.robustness\.methods\.0: hffn_single reads words"),
        ({"methods": ["single", "svc"]}, r"dlc\.robustness\.methods\.1: svc keeps no network"),
        ({"methods": ["dann"]}, r"dlc\.robustness\.methods\.0: dann is not part of exp1"),
        ({"methods": ["noise_classifier"]}, r"dlc\.robustness\.methods\.0: noise_classifier predicts no emotion"),
        ({"methods": ["singel"]}, r"dlc\.robustness\.methods\.0: no method 'singel'"),
        ({"profile": "h9"}, r"dlc\.robustness\.profile: 'h9' is not in noise\.profiles"),
        ({"snr_db": []}, r"dlc\.robustness\.snr_db"),
        ({"snr_db": [300]}, r"dlc\.robustness\.snr_db"),
        ({"snr_db": [5, 5]}, r"dlc\.robustness\.snr_db"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_key(asked, said):
    with pytest.raises(ConfigError, match=said):
        plan({"robustness": asked})


def test_where_nothing_can_be_asked_the_target_says_so():
    with pytest.raises(ConfigError, match=r"dlc\.robustness\.methods"):
        swept_cells(plan({"methods": ["hffn_single"], "controls": []}))
    with pytest.raises(ConfigError, match=r"dlc\.feature.*ge2e"):
        swept_cells(plan({"feature": "ge2e_partials"}))
