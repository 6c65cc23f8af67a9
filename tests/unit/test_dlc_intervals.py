import csv
import math
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from dlc_artefacts import write_metrics
from serflow.errors import StoreError
from serflow.stores import parquet
from serflow.studies.dlc import intervals
from serflow.studies.dlc.artefacts import PREDICTIONS_SCHEMA
from serflow.studies.dlc.intervals import (
    Fit,
    corpus_samples,
    read_clusters,
    read_fits,
    replicate_scores,
    table1_intervals,
)
from serflow.studies.dlc.results import seed_scores, summarise
from serflow.training.metrics import unweighted_accuracy

CLASSES = ["low", "mid", "high"]
CONDITIONS = ["natural", "human", "interior"]
KEY = ["experiment", "method", "corpus", "profile"]


def write_corpus(folder, corpus="toy", n_dialogues=30, size=4, *, dialogues=True, synthetic=False, speakers=5):
    """A corpus of dialogues d00, d01, ... with utterances d00_0, d00_1, ..."""
    names = [f"d{i:02d}_{j}" for i in range(n_dialogues) for j in range(size)]
    table = pa.table(
        {
            "id": names,
            "dialogue": pa.array([name[:3] if dialogues else None for name in names], pa.string()),
            "speaker": [f"s{int(name[1:3]) % speakers}" for name in names],
        }
    )
    path = folder / "corpora" / corpus / "utterances.parquet"
    metadata = {"corpus": corpus, "synthetic": synthetic, "partial": False}
    parquet.write_table(path, table, kind="utterances", metadata=metadata)
    return path, names


def write_predictions(folder, cell, fits, classes=CLASSES):
    """``fits`` holds a row (utterance, target, prediction) per test utterance by seed and held-out condition."""
    rows = [
        {
            "seed": seed,
            "held_out": held_out,
            "utterance": utterance,
            "target": target,
            "label": classes[int(np.argmax(target))],
            "prediction": classes[prediction],
        }
        for (seed, held_out), of_fit in fits.items()
        for utterance, target, prediction in of_fit
    ]
    path = folder.joinpath("runs", "dlc", *cell, "predictions.parquet")
    metadata = {**dict(zip(KEY, cell, strict=True)), "classes": classes}
    parquet.write_table(
        path, pa.Table.from_pylist(rows, schema=PREDICTIONS_SCHEMA), kind="predictions", metadata=metadata
    )
    return path


def random_rows(names, seed, n_classes=3, soft=False):
    generator = np.random.default_rng(seed)
    targets = np.eye(n_classes)[generator.integers(n_classes, size=len(names))]
    if soft:
        targets = generator.multinomial(4, np.full(n_classes, 1 / n_classes), size=len(names)) / 4
    predictions = generator.integers(n_classes, size=len(names))
    return list(zip(names, targets.tolist(), predictions.tolist(), strict=True))


def ua_of(rows):
    return unweighted_accuracy(np.array([row[1] for row in rows]), np.array([row[2] for row in rows]))


def table(paths, utterances, protocol="dialogue", replicates=50):
    return table1_intervals(paths, utterances, protocol, replicates).set_index(KEY)


def test_ua_is_that_of_the_metrics(tmp_path):
    utterances, names = write_corpus(tmp_path)
    clusters = read_clusters(utterances, "dialogue")
    fits = {
        (seed, held): random_rows(names[place::3], 10 * seed + place, soft=True)
        for seed in (0, 1, 2)
        for place, held in enumerate(sorted(CONDITIONS))
    }
    path = write_predictions(tmp_path, ("exp2", "single", "toy", "h1"), fits)
    read = read_fits(path, clusters)
    assert {key: fit.ua for key, fit in read.items()} == {key: ua_of(rows) for key, rows in fits.items()}

    scores = {seed: [ua_of(fits[seed, held]) for held in sorted(CONDITIONS)] for seed in (0, 1, 2)}
    metrics = write_metrics(tmp_path, ("exp2", "single", "toy", "h1"), scores)
    line = table([path], [utterances]).loc[("exp2", "Single", "toy", "h1")]
    assert line["ua"] == pytest.approx(summarise(seed_scores([metrics])).loc[0, "mean"], rel=1e-14)
    assert (line["n_seeds"], line["n_utterances"], line["n_clusters"], line["replicates"]) == (3, 120, 30, 50)


@pytest.mark.parametrize("soft", [False, True])
def test_a_replicate_is_the_ua_of_its_drawn_clusters(tmp_path, soft):
    utterances, names = write_corpus(tmp_path, n_dialogues=6)
    rows = random_rows(names, 1, soft=soft)
    clusters = read_clusters(utterances, "dialogue")
    (fit,) = read_fits(
        write_predictions(tmp_path, ("exp1", "single", "toy", "h1"), {(0, "none"): rows}), clusters
    ).values()
    found = replicate_scores([fit], 40, "toy", 0)[0]
    (weights,) = intervals._weights(6, 40, "toy", 0)
    assert (weights.sum(axis=1) == 6).all()
    targets, predictions = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    for drawn, ua in zip(weights, found, strict=True):
        again = np.repeat(np.arange(len(rows)), drawn[clusters.clusters].astype(int))
        assert ua == pytest.approx(unweighted_accuracy(targets[again], predictions[again]), abs=1e-12)
    assert len(set(found.tolist())) > 10


def test_a_class_that_a_replicate_lacks_is_left_out_of_its_mean():
    # cluster 0 holds class 0, all right; cluster 1 class 1, all wrong
    fit = Fit(
        rows=np.arange(4),
        clusters=np.array([0, 0, 1, 1]),
        classes=np.array([0, 0, 1, 1]),
        hits=np.array([True, True, False, False]),
        n_classes=2,
        ua=0.5,
    )
    (weights,) = intervals._weights(2, 60, "toy", 0)
    expected = [{2: 1.0, 1: 0.5, 0: 0.0}[int(drawn[0])] for drawn in weights]
    assert replicate_scores([fit], 60, "toy", 0)[0].tolist() == expected
    assert set(expected) == {0.0, 0.5, 1.0}


def test_the_interval_is_the_binomials_over_clusters(tmp_path):
    """Utterances of a dialogue are all right or all wrong: 400 dialogues, not 1,600 utterances, give the width."""
    utterances, names = write_corpus(tmp_path / "whole", n_dialogues=100, size=4)
    wrong = {f"d{i:02d}" for i in range(30)}
    rows = [(name, [1.0, 0.0, 0.0], int(name[:3] in wrong)) for name in names]
    path = write_predictions(tmp_path, ("exp1", "single", "toy", "h1"), {(0, "none"): rows})
    line = table([path], [utterances], replicates=2000).loc[("exp1", "Single", "toy", "h1")]
    half = 100 * 1.96 * math.sqrt(0.3 * 0.7 / 100)
    assert line["ua"] == pytest.approx(70.0)
    assert [line["low"], line["high"]] == pytest.approx([70 - half, 70 + half], abs=1.0)

    single, _ = write_corpus(tmp_path / "parted", n_dialogues=100, size=4, dialogues=False)
    line = table([path], [single], replicates=2000).loc[("exp1", "Single", "toy", "h1")]
    assert line["n_clusters"] == 400
    assert [line["low"], line["high"]] == pytest.approx([70 - half / 2, 70 + half / 2], abs=1.0)
    assert line["note"] == "cluster: utterance"


def test_differences_are_paired(tmp_path):
    utterances, names = write_corpus(tmp_path)
    rows = random_rows(names, 3)
    paths = [
        write_predictions(tmp_path, ("exp1", method, "toy", "h1"), {(0, "none"): rows})
        for method in ("single", "moe_dlc")
    ]
    found = table(paths, [utterances])
    line = found.loc[("exp1", "MoE-DLC", "toy", "h1")]
    assert line["low"] < line["ua"] < line["high"]
    assert line[["difference", "difference_low", "difference_high"]].tolist() == [0.0, 0.0, 0.0]
    assert line["baseline"] == "Single"
    base = found.loc[("exp1", "Single", "toy", "h1")]
    assert base["baseline"] == ""
    assert base[["difference", "difference_low", "difference_high"]].isna().all()


def test_a_difference_is_that_of_replicates(tmp_path):
    utterances, names = write_corpus(tmp_path)
    cells = {
        ("exp1", method, "toy", "h1"): write_predictions(
            tmp_path, ("exp1", method, "toy", "h1"), {(s, "none"): random_rows(names, s + k) for s in (0, 1)}
        )
        for k, method in [(0, "single"), (50, "dann")]
    }
    samples = corpus_samples(cells, read_clusters(utterances, "dialogue"), 50)
    one, other = (samples["exp1", method, "toy", "h1"].replicates for method in ("dann", "single"))
    line = table(list(cells.values()), [utterances]).loc[("exp1", "DANN", "toy", "h1")]
    assert line["difference_low"] == pytest.approx(np.percentile(one - other, 2.5), abs=1e-9)
    assert line["difference_high"] == pytest.approx(np.percentile(one - other, 97.5), abs=1e-9)


def test_draws_depend_on_corpus_and_seed_alone(tmp_path, monkeypatch):
    utterances, names = write_corpus(tmp_path)
    cells = [("exp1", "single", "toy", "h1"), ("exp1", "moe_slc", "toy", "h2"), ("exp1", "moe_dlc", "toy", "h1")]
    paths = [
        write_predictions(tmp_path, cell, {(s, "none"): random_rows(names, s + 5 * k) for s in (0, 1)})
        for k, cell in enumerate(cells)
    ]
    key = ("exp1", "Single", "toy", "h1")
    alone = table(paths[:1], [utterances]).loc[key]
    assert alone.equals(table(paths, [utterances]).loc[key])
    monkeypatch.setattr(intervals, "_CHUNK", 31 * 7)
    assert alone.equals(table(paths[:1], [utterances]).loc[key])


def test_overall_is_there_where_all_corpora_have_the_method(tmp_path):
    tables = [write_corpus(tmp_path, corpus) for corpus in ("a", "b")]
    paths = {
        (method, corpus, profile): write_predictions(
            tmp_path, ("exp1", method, corpus, profile), {(0, "none"): random_rows(tables[0][1], 7 * k)}
        )
        for k, (method, corpus, profile) in enumerate(
            [("single", c, p) for c in "ab" for p in ("h1", "h2")]
            + [("moe_dlc", "a", "h1"), ("moe_dlc", "b", "h1"), ("moe_dlc", "a", "h2")]
            + [(m, "a", p) for m in ("hffn_single", "hffn_moe_dlc") for p in ("h1", "h2")]
        )
    }
    found = table(list(paths.values()), [path for path, _ in tables])
    single = found.loc["exp1"].loc["Single"]
    assert single.index.tolist() == [
        ("a", "h1"), ("a", "h2"), ("b", "h1"), ("b", "h2"),
        ("overall", "h1"), ("overall", "h2"), ("overall", "overall"),
    ]  # fmt: skip
    assert single.loc[("overall", "h2"), "ua"] == pytest.approx(single.loc[[("a", "h2"), ("b", "h2")], "ua"].mean())
    assert single.loc[("overall", "overall"), "ua"] == pytest.approx(single["ua"].iloc[:4].mean())
    assert single.loc[("overall", "h1"), "n_utterances"] == 240
    # two corpora, drawn apart: the interval of the mean is narrower
    width = single["high"] - single["low"]
    assert width["overall", "h1"] < width[["a", "b"]].loc[:, "h1"].max()
    assert found.loc["exp1"].loc["MoE-DLC"].index.tolist() == [("a", "h1"), ("a", "h2"), ("b", "h1"), ("overall", "h1")]
    multi = found.loc["exp1"].loc["HFFN-MoE-DLC"]
    assert multi.index.tolist() == [("a", "h1"), ("a", "h2")]
    assert set(multi["baseline"]) == {"HFFN-Single"}
    assert multi["difference_low"].notna().all()


def test_a_method_without_its_baseline_has_no_difference(tmp_path):
    utterances, names = write_corpus(tmp_path, synthetic=True)
    path = write_predictions(tmp_path, ("exp1", "moe_dlc", "toy", "h1"), {(0, "none"): random_rows(names, 0)})
    line = table([path], [utterances]).loc[("exp1", "MoE-DLC", "toy", "h1")]
    assert math.isnan(line["difference"])
    assert line["note"] == "cluster: dialogue; synthetic stand-in; no predictions of the baseline Single"
    overall = table([path], [utterances]).loc[("exp1", "MoE-DLC", "overall", "h1"), "note"]
    assert overall == "synthetic stand-in among the corpora; no predictions of the baseline Single"


def test_few_clusters_and_replicates_without_an_utterance_are_noted(tmp_path):
    utterances, _ = write_corpus(tmp_path, n_dialogues=3)
    fits = {
        (0, "natural"): [("d00_0", [1.0, 0, 0], 0)],
        (0, "human"): [("d01_0", [1.0, 0, 0], 0)],
        (0, "interior"): [("d02_0", [1.0, 0, 0], 1)],
    }
    path = write_predictions(tmp_path, ("exp2", "single", "toy", "h1"), fits)
    line = table([path], [utterances]).loc[("exp2", "Single", "toy", "h1")]
    (weights,) = intervals._weights(3, 50, "toy", 0)
    empty = int((weights == 0).any(axis=1).sum())
    assert line["note"].split("; ")[1:] == [
        "few clusters: 3 in the smallest test set",
        f"{empty} of 50 replicates left out: a fit has no utterance in them",
    ]
    assert (line["low"], line["high"]) == pytest.approx((200 / 3, 200 / 3))


def test_one_cluster_has_no_interval(tmp_path):
    utterances, names = write_corpus(tmp_path, n_dialogues=4, speakers=1)
    path = write_predictions(tmp_path, ("exp1", "single", "toy", "h1"), {(0, "none"): random_rows(names, 0)})
    line = table([path], [utterances], "speaker").loc[("exp1", "Single", "toy", "h1")]
    assert line[["low", "high"]].isna().all()
    assert line["note"] == "cluster: speaker; few clusters: 1 in the smallest test set"


def test_another_test_set_than_the_baselines_is_an_error(tmp_path):
    utterances, names = write_corpus(tmp_path)
    paths = [
        write_predictions(tmp_path, ("exp1", "single", "toy", "h1"), {(0, "none"): random_rows(names, 0)}),
        write_predictions(tmp_path, ("exp1", "dann", "toy", "h1"), {(0, "none"): random_rows(names[1:], 0)}),
    ]
    with pytest.raises(StoreError, match="exp1/dann/toy/h1 and of its baseline single are not of the same"):
        table(paths, [utterances])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("nobody", [1.0, 0, 0], 0)], "utterance 'nobody'"),
        ([("d00_0", [1.0, 0, 0], 0)] * 2, "occurs twice"),
        ([("d00_0", [1.0, 0], 0)], "not of the classes low, mid, high"),
        ([], "no predictions"),
    ],
)
def test_damaged_predictions_are_refused(tmp_path, rows, message):
    utterances, _ = write_corpus(tmp_path)
    path = write_predictions(tmp_path, ("exp1", "single", "toy", "h1"), {(0, "none"): rows})
    with pytest.raises(StoreError, match=message):
        table([path], [utterances])


def test_cells_given_twice_and_corpora_without_a_table_are_errors(tmp_path):
    utterances, names = write_corpus(tmp_path)
    path = write_predictions(tmp_path, ("exp1", "single", "toy", "h1"), {(0, "none"): random_rows(names, 0)})
    with pytest.raises(StoreError, match="given twice"):
        table([path, path], [utterances])
    other = write_predictions(tmp_path, ("exp1", "single", "other", "h1"), {(0, "none"): random_rows(names, 0)})
    with pytest.raises(StoreError, match="corpus 'other'"):
        table([path, other], [utterances])


def test_the_stage_writes_two_decimals(tmp_path):
    utterances, names = write_corpus(tmp_path)
    paths = [
        write_predictions(tmp_path, ("exp1", method, "toy", "h1"), {(0, "none"): random_rows(names, k)})
        for k, method in enumerate(("single", "moe_dlc"))
    ]
    command = [
        sys.executable, "-m", "serflow.stages.tabulate_dlc_intervals", "--predictions", *paths,
        "--utterances", utterances, "--split", "dialogue", "--code", "f" * 16, "--intervals", tmp_path / "table.csv",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    text = (tmp_path / "table.csv").read_text()
    again = table1_intervals(paths, [utterances], "dialogue")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == list(again)
    assert [(row["method"], row["corpus"], row["profile"]) for row in rows][:3] == [
        ("Single", "toy", "h1"), ("Single", "overall", "h1"), ("Single", "overall", "overall"),
    ]  # fmt: skip
    assert rows[0]["ua"] == f"{100 * ua_of(random_rows(names, 0)):.2f}"
    assert (rows[0]["difference"], rows[0]["replicates"]) == ("", "1000")
    # the same draws in another process
    assert [row["difference_low"] for row in rows[3:]] == [f"{low:.2f}" for low in again["difference_low"][3:]]
