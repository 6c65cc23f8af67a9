import csv
import math
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest

from dlc_artefacts import write_clips, write_metrics, write_utterances
from serflow.errors import ConfigError, StoreError
from serflow.files import read_json, write_json
from serflow.report.corpora import CorpusFacts, NoiseFacts, read_corpora
from serflow.studies.dlc import paper
from serflow.studies.dlc.comparison import compare_table1
from serflow.studies.dlc.results import check_complete, control_scores, seed_scores, summarise, with_overall
from serflow.studies.dlc.tables import table1

CORPORA = [
    {"name": "iemocap", "title": "IEMOCAP", "synthetic": True},
    {"name": "ravdess", "title": "RAVDESS", "synthetic": False},
]
PROFILES = ["h1", "h2"]
METHODS = ["own", "moe_dlc", "single"]


def all_cells(folder, seeds=(0, 1)):
    paths = []
    for k, cell in enumerate(product(["exp1", "exp2"], METHODS, ["iemocap", "ravdess"], PROFILES)):
        values = [0.4 + 0.01 * k] if cell[0] == "exp1" else [0.3, 0.4, 0.5 + 0.01 * k]
        paths.append(write_metrics(folder, cell, {seed: [v + 0.02 * seed for v in values] for seed in seeds}))
    return paths


@pytest.fixture
def facts(tmp_path):
    tables = [
        write_utterances(tmp_path, "iemocap", synthetic=True),
        write_utterances(tmp_path, "ravdess", partial=True),
    ]
    return read_corpora(CORPORA, tables)


def test_a_seed_of_experiment_2_is_the_mean_over_held_out_conditions(tmp_path):
    path = write_metrics(tmp_path, ("exp2", "single", "iemocap", "h1"), {0: [0.3, 0.4, 0.8], 1: [0.6, 0.6, 0.6]})
    scores = seed_scores([path])
    assert scores["percent"].tolist() == pytest.approx([50.0, 60.0])
    summary = summarise(scores).iloc[0]
    assert summary["mean"] == pytest.approx(55.0)
    assert summary["std"] == pytest.approx(math.sqrt(50.0))
    assert summary["n"] == 2


def test_one_seed_has_no_std(tmp_path):
    path = write_metrics(tmp_path, ("exp1", "single", "iemocap", "h1"), {0: [0.5]})
    assert math.isnan(summarise(seed_scores([path])).iloc[0]["std"])


def test_overall_is_the_mean_over_corpora_then_over_profiles(tmp_path):
    cells = {("a", "h1"): 0.1, ("b", "h1"): 0.3, ("a", "h2"): 0.5, ("b", "h2"): 0.9}
    paths = [write_metrics(tmp_path, ("exp1", "single", *cell), {0: [ua]}) for cell, ua in cells.items()]
    summary = summarise(with_overall(seed_scores(paths))).set_index(["corpus", "profile"])["mean"]
    assert summary["overall", "h1"] == pytest.approx(20.0)
    assert summary["overall", "h2"] == pytest.approx(70.0)
    assert summary["overall", "overall"] == pytest.approx(45.0)


def test_std_of_overall_is_over_seeds_not_over_cells(tmp_path):
    paths = [
        write_metrics(tmp_path, ("exp1", "single", "a", "h1"), {0: [0.1], 1: [0.9]}),
        write_metrics(tmp_path, ("exp1", "single", "b", "h1"), {0: [0.9], 1: [0.1]}),
    ]
    summary = summarise(with_overall(seed_scores(paths))).set_index(["corpus", "profile"])
    assert summary.loc[("overall", "overall"), "std"] == pytest.approx(0.0)
    assert summary.loc[("overall", "overall"), "n"] == 2


def test_headings_name_stand_ins_of_corpus_and_noise():
    real = CorpusFacts("iemocap", "IEMOCAP", synthetic=False, partial=False, remarks=())
    assert real.label == "IEMOCAP"
    assert replace(real, synthetic_noise=True).label == "IEMOCAP (synthetic noise)"
    assert replace(real, partial=True, synthetic_noise=True).label == "IEMOCAP (partial, synthetic noise)"
    assert replace(real, synthetic=True, synthetic_noise=True).label == "IEMOCAP (synthetic)"


def test_table_has_the_papers_shape_with_marked_headings(tmp_path, facts):
    summary = summarise(with_overall(seed_scores(all_cells(tmp_path))))
    table = table1(summary, facts, PROFILES, METHODS)
    assert list(table) == [
        "Experiment", "Method", "IEMOCAP (synthetic) h1", "IEMOCAP (synthetic) h2", "RAVDESS (partial) h1",
        "RAVDESS (partial) h2", "Overall (synthetic) h1", "Overall (synthetic) h2", "Overall (synthetic)",
    ]  # fmt: skip
    assert table["Experiment"].tolist() == ["1", "1", "1", "2", "2", "2"]
    assert table["Method"].tolist() == ["Single", "MoE-DLC", "own"] * 2
    # single, exp1 is the last of three methods: cells 8 to 11, with seeds 0 and 0.02 apart
    assert table.iloc[0].tolist()[2:] == ["49.00", "50.00", "51.00", "52.00", "50.00", "51.00", "50.50"]


def test_rows_that_were_not_built_are_left_out(tmp_path, facts):
    paths = [path for path in all_cells(tmp_path) if "exp2/single" not in path.as_posix()]
    scores = seed_scores(paths)
    check_complete(scores, METHODS, list(facts), PROFILES)
    table = table1(summarise(with_overall(scores)), facts, PROFILES, METHODS)
    assert list(zip(table["Experiment"], table["Method"], strict=True))[3:] == [("2", "MoE-DLC"), ("2", "own")]


def test_a_hole_in_a_row_is_an_error(tmp_path):
    scores = seed_scores(all_cells(tmp_path)[:-1])
    with pytest.raises(StoreError, match="exp2/single/ravdess/h2 is missing"):
        check_complete(scores, METHODS, ["iemocap", "ravdess"], PROFILES)


def test_a_method_without_cells_is_an_error(tmp_path):
    scores = seed_scores(all_cells(tmp_path))
    with pytest.raises(StoreError, match="no cell of method 'dann'"):
        check_complete(scores, [*METHODS, "dann"], ["iemocap", "ravdess"], PROFILES)


def test_a_cell_nobody_asked_for_is_an_error(tmp_path):
    scores = seed_scores(all_cells(tmp_path))
    with pytest.raises(StoreError, match="profile 'h2'"):
        check_complete(scores, METHODS, ["iemocap", "ravdess"], ["h1"])


def test_cells_of_other_seeds_are_an_error(tmp_path):
    paths = all_cells(tmp_path)
    write_metrics(tmp_path, ("exp2", "single", "ravdess", "h2"), {0: [0.5] * 3})
    with pytest.raises(StoreError, match="exp2/single/ravdess/h2 has seeds"):
        check_complete(seed_scores(paths), METHODS, ["iemocap", "ravdess"], PROFILES)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"metrics\.json: no such file"):
        seed_scores([tmp_path / "metrics.json"])


def test_a_cell_given_twice_is_an_error(tmp_path):
    path = write_metrics(tmp_path, ("exp1", "single", "iemocap", "h1"), {0: [0.5]})
    with pytest.raises(StoreError, match="given twice"):
        seed_scores([path, path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cell: cell.update(study="other"), "not the metrics"),
        (lambda cell: cell.update(fits=[]), "not the metrics"),
        (lambda cell: cell.pop("method"), "without method"),
        (lambda cell: cell["fits"].pop(), "held-out conditions"),
        (lambda cell: cell["fits"].append(cell["fits"][0]), "occur twice"),
        (lambda cell: cell["fits"][0].update(ua=None), "no ua between 0 and 1"),
        (lambda cell: cell["fits"][0].update(ua=51.0), "no ua between 0 and 1"),
        (lambda cell: cell["fits"][0].update(held_out="none"), "held-out conditions"),
        (lambda cell: cell.update(experiment="exp1"), "held-out conditions"),
    ],
)
def test_damaged_metrics_are_refused(tmp_path, change, message):
    path = write_metrics(tmp_path, ("exp2", "single", "iemocap", "h1"), {0: [0.5] * 3, 1: [0.5] * 3})
    cell = read_json(path)
    change(cell)
    write_json(path, cell)
    with pytest.raises(StoreError, match=message):
        seed_scores([path])


def test_a_corpus_without_utterance_table_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="corpus 'ravdess'"):
        read_corpora(CORPORA, [write_utterances(tmp_path, "iemocap", synthetic=True)])


def test_real_data_configured_as_synthetic_are_an_error(tmp_path):
    with pytest.raises(StoreError, match="synthetic is False"):
        read_corpora(CORPORA[:1], [write_utterances(tmp_path, "iemocap", synthetic=False)])


def test_two_corpora_of_one_heading_are_an_error(tmp_path):
    corpora = [{"name": name, "title": "Mine", "synthetic": False} for name in ("a", "b")]
    with pytest.raises(ConfigError, match="'Mine'"):
        read_corpora(corpora, [write_utterances(tmp_path, "a"), write_utterances(tmp_path, "b")])


def test_the_stage_writes_three_tables(tmp_path):
    corpora = '[{"name": "iemocap", "title": "IEMOCAP", "synthetic": true}]'
    cells = [
        write_metrics(tmp_path, (e, "single", "iemocap", "h1"), {0: [0.5] * n}) for e, n in [("exp1", 1), ("exp2", 3)]
    ]
    noise = write_metrics(tmp_path, ("exp1", "noise_classifier", "iemocap", "h1"), {0: [0.5]})
    out = {name: tmp_path / f"{name}.csv" for name in ("table", "comparison", "noise")}
    command = [
        sys.executable, "-m", "serflow.stages.tabulate_dlc", "--cells", *cells, "--noise-cells", noise,
        "--utterances", write_utterances(tmp_path, "iemocap", synthetic=True), "--clips", write_clips(tmp_path),
        "--corpora", corpora, "--profiles", "h1", "--methods", "single", "--code", "f" * 16,
        *(part for name, path in out.items() for part in (f"--{name}", path)),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    rows = {name: list(csv.reader(path.read_text().splitlines())) for name, path in out.items()}
    assert rows["table"] == [
        ["Experiment", "Method", "IEMOCAP (synthetic) h1", "Overall (synthetic) h1", "Overall (synthetic)"],
        ["1", "Single", "50.00", "50.00", "50.00"],
        ["2", "Single", "50.00", "50.00", "50.00"],
    ]
    assert len(rows["comparison"]) == 1 + 2 * 3
    assert [row[3] for row in rows["noise"]] == ["accuracy_mean", "25.00", "25.00", "25.00"]


def with_measures(paths, **measures):
    """Add other measures to every fit of cells that were written."""
    for path in paths:
        content = read_json(path)
        for fit in content["fits"]:
            fit.update(measures)
        write_json(path, content)


def test_controls_are_read_from_the_cells_of_others(tmp_path):
    paths = all_cells(tmp_path)
    with_measures([path for path in paths if "single" in path.parts], chance_ua=0.25, majority_ua=0.2, oracle_ua=None)
    routed = [path for path in paths if "moe_dlc" in path.parts]
    with_measures([path for path in routed if "exp1" in path.parts], oracle_ua=0.6)
    with_measures([path for path in routed if "exp2" in path.parts], oracle_ua=None)
    scores = control_scores(paths, ["oracle_gate", "chance", "majority"])
    found = scores.groupby(["experiment", "method"])["percent"].agg(["min", "max"])
    assert found.loc[("exp1", "moe_dlc_oracle")].tolist() == [60.0, 60.0]
    assert found.loc[("exp2", "chance")].tolist() == [25.0, 25.0]
    assert found.loc[("exp1", "majority")].tolist() == [20.0, 20.0]
    assert ("exp2", "moe_dlc_oracle") not in found.index
    with pytest.raises(StoreError, match="a fit has no chance_ua between 0 and 1"):
        control_scores(all_cells(tmp_path / "older"), ["chance"])


def test_titles_of_controls():
    assert paper.method_title("moe_dlc_oracle") == "MoE-DLC (oracle gate)"
    assert paper.method_title("single_wide") == "Single (width-matched)"
    assert paper.method_title("majority") == "Majority class"
    assert paper.method_title("own") == "own"


def test_a_method_that_a_corpus_cannot_have_is_not_applicable_there_and_overall(tmp_path, facts):
    paths = [path for path in all_cells(tmp_path) if not {"moe_dlc", "ravdess"} <= set(path.parts)]
    scores = seed_scores(paths)
    with pytest.raises(StoreError, match="cell exp1/moe_dlc/ravdess/h1 is missing"):
        check_complete(scores, METHODS, list(facts), PROFILES)
    check_complete(scores, METHODS, list(facts), PROFILES, {"moe_dlc": ["ravdess"]})
    summary = summarise(with_overall(scores))
    table = table1(summary, facts, PROFILES, [*METHODS, "hffn_moe_dlc"])
    rows = {(row["Experiment"], row["Method"]): row[2:].tolist() for _, row in table.iterrows()}
    assert [value == "n/a" for value in rows["1", "MoE-DLC"]] == [False] * 2 + [True] * 5
    assert "n/a" not in rows["1", "Single"]
    # a method that no corpus can have is a row all the same
    assert set(rows["1", "HFFN-MoE-DLC"]) == {"n/a"}
    assert ("2", "HFFN-MoE-DLC") not in rows

    noise = NoiseFacts(False, ())
    comparison = compare_table1(scores, summary, facts, PROFILES, METHODS, noise)
    absent = comparison[(comparison["method"] == "MoE-DLC") & (comparison["corpus"] == "ravdess")]
    assert absent["note"].str.startswith("n/a: no turns in dialogues").all()
    assert (absent["ours_mean"] == "").all()
    assert (comparison.loc[comparison["method"] != "MoE-DLC", "ours_mean"] != "").all()
