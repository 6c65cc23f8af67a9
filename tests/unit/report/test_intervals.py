import csv
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from made_up_runs import (
    PARTIAL_NOISE,
    STAND_IN_WEIGHTS,
    SYNTHETIC,
    SYNTHETIC_NOISE,
    UTTERANCE,
    predicted,
    share,
    write_cell,
    write_utterances,
)
from serflow.errors import StoreError
from serflow.report.headings import Heading, Layout
from serflow.report.intervals import TableIntervals, table_intervals
from serflow.runs import bootstrap
from serflow.runs.bootstrap import over_runs, read_clusters, read_predictions
from serflow.runs.provenance import Provenance
from serflow.runs.scores import read_runs, select

SYSTEMS = {"alone": ("Alone",), "adversary": ("Adversary",), "other": ("Other",)}


def heading(system, baseline=None, measure="ua"):
    return Heading(SYSTEMS[system], {"system": system, "measure": measure}, baseline and SYSTEMS[baseline])


def layout(*rows, columns=None, **changed):
    return Layout(("System",), rows, columns or [Heading(("Toy",), {"corpus": "toy"})], **changed)


ONE = layout(heading("alone"))
ONE_RUN = "one run: test sampling only, not how training varies"
TWO = layout(heading("alone"), heading("adversary", "alone"))


def write_corpus(folder, corpus="toy", n_dialogues=30, size=4, *, dialogues=True, speakers=5, **said):
    names = [f"d{i:02d}_{j}" for i in range(n_dialogues) for j in range(size)]
    rows = [
        {UTTERANCE: name, "dialogue": name[:3] if dialogues else None, "speaker": f"s{int(name[1:3]) % speakers}"}
        for name in names
    ]
    return write_utterances(folder, corpus, rows, **said), names


def random_rows(names, seed, n_classes=3):
    generator = np.random.default_rng(seed)
    targets = np.eye(n_classes)[generator.integers(n_classes, size=len(names))].tolist()
    return list(zip(names, targets, generator.integers(n_classes, size=len(names)).tolist(), strict=True))


def write(folder, results, system="alone", corpus="toy"):
    """A cell of predictions; ``results`` are rows of one fit, or fits."""
    fits = results if hasattr(results[0], "tested") else [predicted(results)]
    return write_cell(folder, {"system": system, "corpus": corpus}, fits, study="made_up")


def table(table_layout, paths, utterances, unit="dialogue", replicates=50):
    columns, lines = table_intervals(table_layout, paths, utterances, unit, replicates)
    found = [dict(zip(columns, line, strict=True)) for line in lines]
    return {(line["system"], line["column"]): line for line in found}


def test_the_value_is_that_of_the_table(tmp_path):
    """Folds and runs are averaged, or pooled, as they are there; here from predictions, there from tallies."""
    utterances, names = write_corpus(tmp_path)
    results = [
        predicted(random_rows(names[place :: 3 + place], 10 * run + place), run, fold)
        for run in (0, 1, 2)
        for place, fold in enumerate("abc")
    ]
    files = write(tmp_path, results)
    for measure in ("ua", "wa"):
        for over_folds in ("mean", "pooled"):
            rows = layout(heading("alone", measure=measure), over_folds=over_folds)
            line = table(rows, [files.predictions], [utterances])["Alone", "Toy"]
            where = {"system": ("alone",), "corpus": ("toy",), "measure": (measure,)}
            value = select(read_runs([files.metrics]), where, over_folds).mean
            assert (line["measure"], line["value"]) == (measure, f"{value:.2f}")
            assert (line["n_runs"], line["replicates"], line["n_clusters"]) == (3, 50, 30)
    assert line["n_utterances"] == len({row for k in range(3) for row in names[k :: 3 + k]})


def test_the_interval_is_the_binomials_over_clusters(tmp_path):
    """Utterances of a dialogue are all right or all wrong: 100 dialogues, not 400 utterances, give the width."""
    utterances, names = write_corpus(tmp_path / "whole", n_dialogues=100, size=4)
    wrong = {f"d{i:02d}" for i in range(30)}
    path = write(tmp_path, [(name, [1.0, 0.0, 0.0], int(name[:3] in wrong)) for name in names]).predictions
    line = table(ONE, [path], [utterances], replicates=2000)["Alone", "Toy"]
    half = 100 * 1.96 * math.sqrt(0.3 * 0.7 / 100)
    assert line["value"] == "70.00"
    assert [float(line["low"]), float(line["high"])] == pytest.approx([70 - half, 70 + half], abs=1.0)
    assert (line["n_clusters"], line["n_utterances"], line["note"]) == (100, 400, f"cluster: dialogue; {ONE_RUN}")

    single, _ = write_corpus(tmp_path / "parted", n_dialogues=100, size=4, dialogues=False)
    line = table(ONE, [path], [single], replicates=2000)["Alone", "Toy"]
    assert [float(line["low"]), float(line["high"])] == pytest.approx([70 - half / 2, 70 + half / 2], abs=1.0)
    assert (line["n_clusters"], line["note"]) == (400, f"cluster: utterance; {ONE_RUN}")


def test_differences_are_paired(tmp_path):
    utterances, names = write_corpus(tmp_path)
    rows = random_rows(names, 3)
    paths = [write(tmp_path, rows, system).predictions for system in ("alone", "adversary")]
    found = table(TWO, paths, [utterances])
    line, base = found["Adversary", "Toy"], found["Alone", "Toy"]
    assert float(line["low"]) < float(line["value"]) < float(line["high"])
    assert [line[name] for name in ("difference", "difference_low", "difference_high")] == ["0.00"] * 3
    assert line["baseline"] == "Alone"
    assert [base[name] for name in ("baseline", "difference", "difference_low", "difference_high")] == [""] * 4


def test_a_difference_is_that_of_replicates(tmp_path):
    utterances, names = write_corpus(tmp_path)
    paths = [
        write(tmp_path, [predicted(random_rows(names, run + k), run) for run in (0, 1)], system).predictions
        for k, system in ((0, "alone"), (50, "adversary"))
    ]
    samples = TableIntervals(
        TWO, [read_predictions(path) for path in paths], {"toy": read_clusters(utterances, "dialogue")}, 50
    )
    one, other = (samples.sample(row, 0, [0, 1]).replicates for row in (1, 0))
    paired = over_runs(one - other)
    line = table(TWO, paths, [utterances])["Adversary", "Toy"]
    assert line["difference_low"] == f"{np.percentile(paired, 2.5):.2f}"
    assert line["difference_high"] == f"{np.percentile(paired, 97.5):.2f}"
    assert float(line["difference_low"]) < float(line["difference"]) < float(line["difference_high"])


def test_a_difference_is_over_the_runs_that_both_have(tmp_path):
    utterances, names = write_corpus(tmp_path)
    rows = {run: random_rows(names, run) for run in (0, 1, 2)}
    baseline = write(tmp_path, [predicted(rows[run], run) for run in (0, 2)])
    mine = write(tmp_path, [predicted(rows[run], run) for run in (0, 1, 2)], "adversary")
    line = table(TWO, [baseline.predictions, mine.predictions], [utterances])["Adversary", "Toy"]
    assert (line["difference"], line["n_runs"]) == ("0.00", 3)
    assert "difference over runs 0, 2 alone" in line["note"]
    other = write(tmp_path / "other", [predicted(rows[1], 1)], "adversary").predictions
    with pytest.raises(StoreError, match="cells adversary/toy and alone/toy have no run in common"):
        table(TWO, [baseline.predictions, other], [utterances])


CORPORA = layout(
    heading("alone"),
    heading("adversary", "alone")._replace(without={"b": "no turns in dialogues"}),
    columns=[
        Heading(("A",), {"corpus": "a"}),
        Heading(("B",), {"corpus": "b"}),
        Heading(("Overall",), {"corpus": ("a", "b")}),
    ],
)


@pytest.mark.parametrize(
    ("provenance", "mark"),
    [
        (PARTIAL_NOISE, "partial noise; "),
        (SYNTHETIC_NOISE, "synthetic noise; "),
        (STAND_IN_WEIGHTS, "stand-in weights; "),
        (Provenance(raised_db=(25.0,)), "SNR +25 dB; "),
        # of corpora their own table tells
        (SYNTHETIC, ""),
    ],
)
def test_what_is_not_real_besides_the_corpus_is_told(tmp_path, provenance, mark):
    utterances, names = write_corpus(tmp_path)
    cell = {"system": "alone", "corpus": "toy"}
    fits = [predicted(random_rows(names, 0))]
    path = write_cell(tmp_path, cell, fits, study="made_up", provenance=provenance).predictions
    assert table(ONE, [path], [utterances])["Alone", "Toy"]["note"] == f"cluster: dialogue; {mark}{ONE_RUN}"


def test_a_mean_over_corpora_is_drawn_apart_in_each(tmp_path):
    tables = [write_corpus(tmp_path, corpus, synthetic=corpus == "b")[0] for corpus in "ab"]
    names = write_corpus(tmp_path / "names")[1]
    paths = [
        write(tmp_path, random_rows(names, k), system, corpus).predictions
        for k, (system, corpus) in enumerate([("alone", "a"), ("alone", "b"), ("adversary", "a")])
    ]
    found = table(CORPORA, paths, tables, replicates=400)
    # what a row cannot have is no line, and neither is a mean with it
    assert list(found) == [("Alone", "A"), ("Alone", "B"), ("Alone", "Overall"), ("Adversary", "A")]
    lines = {name: found["Alone", name] for name in ("A", "B", "Overall")}
    assert float(lines["Overall"]["value"]) == pytest.approx(
        (float(lines["A"]["value"]) + float(lines["B"]["value"])) / 2, abs=0.01
    )
    assert (lines["Overall"]["n_clusters"], lines["Overall"]["n_utterances"]) == (60, 240)
    width = {name: float(line["high"]) - float(line["low"]) for name, line in lines.items()}
    assert width["Overall"] < min(width["A"], width["B"])
    assert lines["A"]["note"] == f"cluster: dialogue; {ONE_RUN}"
    assert lines["B"]["note"] == f"cluster: dialogue; synthetic; {ONE_RUN}"
    assert lines["Overall"]["note"] == f"synthetic among the corpora; {ONE_RUN}"


def test_the_interval_of_several_runs_tells_how_trainings_differ(tmp_path):
    """Runs on the same test that score 30 and 90 %: their interval is wider than that of either alone."""
    utterances, names = write_corpus(tmp_path, n_dialogues=25)
    rights = {0: 0.3, 1: 0.9, 2: 0.6}
    fits = [
        predicted([(name, [1.0, 0, 0], int(i >= right * len(names))) for i, name in enumerate(names)], run)
        for run, right in rights.items()
    ]
    line = table(ONE, [write(tmp_path, fits).predictions], [utterances], replicates=400)["Alone", "Toy"]
    alone = table(ONE, [write(tmp_path / "one", fits[:1]).predictions], [utterances], replicates=400)["Alone", "Toy"]
    assert (line["value"], line["n_runs"], line["note"]) == ("60.00", 3, "cluster: dialogue")
    widths = [float(each["high"]) - float(each["low"]) for each in (line, alone)]
    assert widths[0] > widths[1]
    assert float(line["low"]) < 45
    assert float(line["high"]) > 75


def test_a_row_without_its_baseline_has_no_difference(tmp_path):
    utterances, names = write_corpus(tmp_path, partial=True)
    path = write(tmp_path, random_rows(names, 0), "adversary").predictions
    line = table(layout(heading("adversary", "alone")), [path], [utterances])["Adversary", "Toy"]
    assert (line["baseline"], line["difference"]) == ("Alone", "")
    assert line["note"] == f"cluster: dialogue; partial; {ONE_RUN}; no predictions of the baseline Alone"


def test_a_word_error_rate_has_intervals_too(tmp_path):
    utterances, names = write_corpus(tmp_path)
    generator = np.random.default_rng(0)
    paths = []
    for k, system in enumerate(("alone", "adversary")):
        more = {"edits": (generator.integers(0, 4, len(names)) + 4 * k).tolist(), "words": [3] * len(names)}
        paths.append(write(tmp_path, [predicted(random_rows(names, 0), more=more)], system).predictions)
    found = table(layout(heading("alone", measure="wer"), heading("adversary", "alone", "wer")), paths, [utterances])
    base, line = found["Alone", "Toy"], found["Adversary", "Toy"]
    assert line["measure"] == "wer"
    assert float(line["value"]) > 100 > float(base["high"])
    assert float(line["difference"]) == pytest.approx(float(line["value"]) - float(base["value"]), abs=0.011)
    assert float(line["difference_low"]) > 0


def test_rows_that_were_counted_and_not_predicted_have_no_line(tmp_path):
    """Chance is of no utterance; the oracle's predictions have a column of their own."""
    utterances, names = write_corpus(tmp_path)
    rows = random_rows(names, 0)
    classes = ["low", "mid", "high"]
    more = {"oracle_prediction": [classes[int(np.argmax(row[1]))] for row in rows]}
    result = predicted(rows, more=more)
    result = result._replace(tallies={**result.tallies, ("test", "chance"): share(1 / 3, len(rows))})
    path = write(tmp_path, [result]).predictions
    table_layout = layout(
        heading("alone"),
        Heading(("Oracle",), {"system": "alone", "measure": "oracle_ua"}, ("Alone",)),
        Heading(("Chance",), {"system": "alone", "measure": "chance_ua"}),
    )
    found = table(table_layout, [path], [utterances])
    assert list(found) == [("Alone", "Toy"), ("Oracle", "Toy")]
    assert (found["Oracle", "Toy"]["value"], found["Oracle", "Toy"]["low"]) == ("100.00", "100.00")
    assert float(found["Oracle", "Toy"]["difference_low"]) > 0


def test_columns_of_validation_have_no_interval(tmp_path):
    """What is drawn from is the test."""
    utterances, names = write_corpus(tmp_path)
    tests, others = predicted(random_rows(names[:60], 0)), predicted(random_rows(names[60:], 1), role="val")
    path = write(tmp_path, [tests._replace(tested=[*tests.tested, *others.tested])]).predictions
    columns = [Heading((role,), {"corpus": "toy", "role": role}) for role in ("val", "test")]
    found = table(layout(heading("alone"), columns=columns), [path], [utterances])
    assert list(found) == [("Alone", "test")]
    assert found["Alone", "test"]["n_utterances"] == 60


def test_few_clusters_are_noted_and_folds_of_one_each_are_drawn(tmp_path):
    utterances, _ = write_corpus(tmp_path, n_dialogues=3)
    results = [
        predicted([(f"d{k:02d}_0", [1.0, 0, 0], int(k == 2))], 0, fold) for k, fold in enumerate(("n", "h", "i"))
    ]
    line = table(ONE, [write(tmp_path, results).predictions], [utterances])["Alone", "Toy"]
    assert line["note"].split("; ")[1:] == [ONE_RUN, "few clusters: 3 in the smallest test set"]
    assert (line["value"], line["low"], line["high"]) == ("66.67", "33.33", "100.00")


def test_replicates_that_draw_nothing_of_a_test_are_noted(tmp_path):
    utterances, names = write_corpus(tmp_path, n_dialogues=4)
    few = write(tmp_path, random_rows(names[:8], 0)).predictions
    more = write(tmp_path, random_rows(names, 1), "adversary").predictions
    line = table(layout(heading("alone"), heading("adversary")), [few, more], [utterances])["Alone", "Toy"]
    (weights,) = bootstrap._weights(4, 50, "toy", 0)
    empty = int((weights[:, :2].sum(axis=1) == 0).sum())
    assert empty
    assert line["note"].endswith(f"{empty} of 50 replicates left out: nothing is counted in them")


def test_one_cluster_has_no_interval(tmp_path):
    utterances, names = write_corpus(tmp_path, n_dialogues=4, speakers=1)
    path = write(tmp_path, random_rows(names, 0)).predictions
    line = table(ONE, [path], [utterances], "speaker")["Alone", "Toy"]
    assert (line["low"], line["high"]) == ("", "")
    assert line["note"] == f"cluster: speaker; {ONE_RUN}; few clusters: 1 in the smallest test set"


@pytest.mark.parametrize("change", ["utterances", "folds"])
def test_another_test_set_than_the_baselines_is_an_error(tmp_path, change):
    utterances, names = write_corpus(tmp_path)
    other = random_rows(names[1:], 0) if change == "utterances" else [predicted(random_rows(names, 0), 0, "a")]
    paths = [
        write(tmp_path, random_rows(names, 0)).predictions,
        write(tmp_path, other, "adversary").predictions,
    ]
    with pytest.raises(StoreError, match="adversary/toy and of its baseline alone/toy are not of the same folds"):
        table(TWO, paths, [utterances])


def test_a_missing_cell_is_an_error(tmp_path):
    utterances, names = write_corpus(tmp_path)
    path = write(tmp_path, random_rows(names, 0)).predictions
    with pytest.raises(StoreError, match="a cell of system adversary, corpus toy is missing"):
        table(TWO, [path], [utterances])


def test_cells_given_twice_and_corpora_without_a_table_are_errors(tmp_path):
    utterances, names = write_corpus(tmp_path)
    path = write(tmp_path, random_rows(names, 0)).predictions
    with pytest.raises(StoreError, match="cell alone/toy is given twice"):
        table(ONE, [path, path], [utterances])
    other = write(tmp_path, random_rows(names, 0), corpus="other").predictions
    with pytest.raises(StoreError, match=r"no utterances\.parquet of corpus 'other' is given"):
        table(ONE, [path, other], [utterances])
    joint = write_cell(tmp_path, {"system": "alone"}, [predicted(random_rows(names, 0))]).predictions
    with pytest.raises(StoreError, match="a cell of several corpora"):
        table(ONE, [joint], [utterances])


def test_the_stage_draws_the_same_in_another_process(tmp_path):
    utterances, names = write_corpus(tmp_path)
    paths = [
        write(tmp_path, random_rows(names, k), system).predictions for k, system in enumerate(("alone", "adversary"))
    ]
    command = [
        sys.executable, "-m", "serflow.stages.tabulate_intervals", "--layout", json.dumps(TWO.to_json()),
        "--predictions", *paths, "--utterances", utterances, "--unit", "dialogue", "--code", "f" * 16,
        "--intervals", tmp_path / "table.csv",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    rows = list(csv.reader((tmp_path / "table.csv").read_text().splitlines()))
    columns, lines = table_intervals(TWO, paths, [utterances], "dialogue")
    assert rows == [columns, *([str(part) for part in line] for line in lines)]
    assert rows[1][columns.index("replicates")] == "1000"
