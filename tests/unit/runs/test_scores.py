import math
import shutil

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from made_up_runs import CLASSES, fit, predicted, share, words, write_cell, write_scores
from serflow.errors import SerflowError, StoreError
from serflow.files import read_sealed_json, write_sealed_json
from serflow.runs.scores import fold_scores, parse_measure, read_run, read_runs, score_rows, select
from serflow.training.metrics import Tally

WHERE = {"system": ("a",), "corpus": ("x",), "measure": ("ua",)}


def cell(system="a", corpus="x"):
    return {"system": system, "corpus": corpus}


def value(paths, over_folds="mean", **where):
    return select(read_runs(paths), {**WHERE, **where}, over_folds)


def random_rows(seed, n, n_classes=3):
    generator = np.random.default_rng(seed)
    # an uneven deal, so that the folds' recalls weigh otherwise than their utterances do
    reference = np.concatenate([np.arange(n_classes), generator.choice(n_classes, size=n, p=[0.7, 0.2, 0.1])])
    predictions = np.where(generator.random(len(reference)) < 0.6, reference, generator.integers(n_classes))
    targets = np.eye(n_classes)[reference].tolist()
    return [
        (f"u{seed}_{i}", target, int(said)) for i, (target, said) in enumerate(zip(targets, predictions, strict=True))
    ]


def classes_of(rows):
    return [int(np.argmax(row[1])) for row in rows], [row[2] for row in rows]


def recall(rows):
    return recall_score(*classes_of(rows), average="macro")


def test_mean_over_folds_and_pooled_differ_and_each_is_right(tmp_path):
    folds = {f"session{k}": random_rows(k, n) for k, n in enumerate((9, 40, 160))}
    path = write_cell(tmp_path, cell(), [predicted(rows, 0, name) for name, rows in folds.items()]).metrics
    whole = [row for rows in folds.values() for row in rows]
    mean, pooled = value([path]).mean, value([path], "pooled").mean
    assert mean == pytest.approx(100 * np.mean([recall(rows) for rows in folds.values()]))
    assert pooled == pytest.approx(100 * recall(whole))
    assert abs(mean - pooled) > 0.1
    accuracies = [accuracy_score(*classes_of(rows)) for rows in folds.values()]
    assert value([path], measure=("wa",)).mean == pytest.approx(100 * np.mean(accuracies))
    assert value([path], "pooled", measure=("wa",)).mean == pytest.approx(100 * accuracy_score(*classes_of(whole)))


def test_ua_is_over_the_classes_that_the_test_has(tmp_path):
    rows = [("u0", [1.0, 0.0, 0.0], 0), ("u1", [0.0, 0.0, 1.0], 1), ("u2", [0.0, 0.0, 1.0], 2)]
    assert value([write_cell(tmp_path, cell(), [predicted(rows)]).metrics]).mean == pytest.approx(75.0)


def test_a_class_that_one_fold_lacks_counts_once_they_are_pooled(tmp_path):
    one = [("u0", [1.0, 0.0, 0.0], 0), ("u1", [1.0, 0.0, 0.0], 0)]
    other = [("u2", [0.0, 1.0, 0.0], 2), ("u3", [1.0, 0.0, 0.0], 1)]
    path = write_cell(tmp_path, cell(), [predicted(one, 0, "a"), predicted(other, 0, "b")]).metrics
    assert value([path]).mean == pytest.approx(50.0)
    assert value([path], "pooled").mean == pytest.approx(100 * (2 / 3 + 0) / 2)


def test_a_run_is_averaged_over_cells_then_runs_over_each_other(tmp_path):
    """The deviation is that over runs, not over cells."""
    paths = [
        write_scores(tmp_path, cell("a", "x"), {0: 0.1, 1: 0.9}),
        write_scores(tmp_path, cell("a", "y"), {0: 0.9, 1: 0.1}),
    ]
    found = value(paths, corpus=("x", "y"))
    assert (found.mean, found.std, found.n_runs) == (pytest.approx(50.0), pytest.approx(0.0), 2)
    one = value(paths)
    assert (one.mean, one.std) == (pytest.approx(50.0), pytest.approx(math.sqrt(3200.0)))


def test_runs_that_differ_between_cells_are_averaged_over_those_in_common(tmp_path):
    """A real corpus with three runs beside a stand-in with one."""
    paths = [
        write_scores(tmp_path, cell("a", "x"), {0: 0.2, 1: 0.4, 2: 0.6}),
        write_scores(tmp_path, cell("a", "y"), {0: 0.4}),
    ]
    found = value(paths, corpus=("x", "y"))
    assert (found.mean, found.n_runs) == (pytest.approx(30.0), 1)
    assert math.isnan(found.std)
    assert (value(paths).n_runs, value(paths, corpus=("y",)).n_runs) == (3, 1)


def test_cells_without_a_run_in_common_cannot_be_averaged(tmp_path):
    paths = [write_scores(tmp_path, cell("a", "x"), {0: 0.2}), write_scores(tmp_path, cell("a", "y"), {1: 0.4})]
    with pytest.raises(StoreError, match="cells a/x and a/y have no run in common"):
        value(paths, corpus=("x", "y"))


def test_measures_of_other_predictions_and_roles(tmp_path):
    tallies = {"prediction": share(0.5), "oracle": share(0.75), "chance": share(1 / 3)}
    speaker = {("val", "speaker"): share(0.25, 40, classes=list("abcde")), ("val", "prediction"): share(0.1)}
    path = write_cell(tmp_path, cell(), [fit(0, "none", tallies, of_roles=speaker)]).metrics
    assert value([path], measure=("oracle_ua",)).mean == pytest.approx(75.0)
    assert value([path], measure=("chance_ua",)).mean == pytest.approx(100 / 3)
    assert value([path], role=("val",), measure=("speaker_wa",)).mean == pytest.approx(25.0)
    assert value([path], role=("val",)).mean == pytest.approx(10.0)


def test_a_word_error_rate_may_be_above_100_percent(tmp_path):
    results = [fit(0, "a", {"words": words(3, 2)}), fit(0, "b", {"words": words(4, 8)})]
    path = write_cell(tmp_path, cell(), results).metrics
    assert value([path], measure=("wer",)).mean == pytest.approx(100.0)
    assert value([path], "pooled", measure=("wer",)).mean == pytest.approx(70.0)
    only = write_cell(tmp_path / "one", cell(), results[:1]).metrics
    assert value([only], measure=("wer",)).mean == pytest.approx(150.0)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("ua", ("prediction", "ua")),
        ("wa", ("prediction", "wa")),
        ("wer", ("words", "wer")),
        ("oracle_ua", ("oracle", "ua")),
        ("true_speaker_wa", ("true_speaker", "wa")),
    ],
)
def test_a_measure_names_what_was_predicted_and_how_it_is_scored(name, parsed):
    assert parse_measure(name) == parsed


def test_no_such_measure():
    with pytest.raises(ValueError, match="no measure 'val_loss'"):
        parse_measure("val_loss")


def test_a_cell_that_lacks_the_measure_is_named(tmp_path):
    path = write_scores(tmp_path, cell(), {0: {"a": 0.5}})
    with pytest.raises(StoreError, match=r"metrics\.json: no oracle_ua of test in run 0, fold a"):
        value([path], measure=("oracle_ua",))
    with pytest.raises(StoreError, match="no ua of val in run 0"):
        value([path], role=("val",))


def test_a_fold_in_which_nothing_was_counted_has_no_score(tmp_path):
    path = write_cell(tmp_path, cell(), [fit(tallies={"prediction": share(0.5, 0)})]).metrics
    with pytest.raises(StoreError, match="no ua of test in run 0, fold none"):
        fold_scores(read_run(path), 0, "test", "ua", "mean")


def test_folds_of_other_classes_are_not_pooled(tmp_path):
    """Speakers of one fold are not those of another: their recalls cannot be taken together."""
    results = [
        fit(0, "a", {"speaker": share(0.5, 40, classes=list("pq"))}),
        fit(0, "b", {"speaker": share(0.5, 40, classes=list("pqrs"))}),
    ]
    path = write_cell(tmp_path, cell(), results).metrics
    assert value([path], measure=("speaker_ua",)).mean == pytest.approx(50.0)
    with pytest.raises(StoreError, match="speaker_ua of folds with other classes cannot be pooled"):
        value([path], "pooled", measure=("speaker_ua",))


def test_hits_of_folds_of_other_classes_are_pooled(tmp_path):
    """Of 40 and 20 rows a quarter and a half are hit."""
    results = [
        fit(0, "a", {"speaker": share(0.25, 40, classes=list("pq"))}),
        fit(0, "b", {"speaker": share(0.5, 20, classes=list("pqrs"))}),
    ]
    path = write_cell(tmp_path, cell(), results).metrics
    assert value([path], "pooled", measure=("speaker_wa",)).mean == pytest.approx(100 * (10 + 10) / 60)
    assert value([path], "mean", measure=("speaker_wa",)).mean == pytest.approx(37.5)


def test_what_a_fit_could_not_have_is_said_in_place_of_a_score(tmp_path):
    lacking = fit(0, "b", {"prediction": share(0.5)})._replace(absent={("probe", "speaker"): "one speaker"})
    whole = fit(0, "a", {"prediction": share(0.5)}, of_roles={("probe", "speaker"): share(0.5)})
    path = write_cell(tmp_path, cell(), [whole, lacking]).metrics
    assert value([path], "pooled", role=("probe",), measure=("speaker_wa",)) == "one speaker"
    assert value([path], "pooled").mean == pytest.approx(50.0)
    alone = write_cell(tmp_path / "alone", cell(), [whole]).metrics
    assert "absent" not in read_sealed_json(alone)["fits"][0]


def test_a_missing_cell_is_named(tmp_path):
    path = write_scores(tmp_path, cell(), {0: 0.5})
    with pytest.raises(StoreError, match="a cell of system a, corpus y is missing"):
        value([path], corpus=("x", "y"))


def test_a_selection_that_several_cells_answer_is_refused(tmp_path):
    paths = [write_scores(tmp_path, cell("a", corpus), {0: 0.5}) for corpus in "xy"]
    with pytest.raises(StoreError, match="system a: 2 cells, the first is a/x"):
        select(read_runs(paths), {"system": ("a",), "measure": ("ua",)}, "mean")


@pytest.mark.parametrize("measures", [(), ("ua", "wa")])
def test_a_value_is_of_one_measure(tmp_path, measures):
    path = write_scores(tmp_path, cell(), {0: 0.5})
    where = {**WHERE, "measure": measures} if measures else {"system": ("a",), "corpus": ("x",)}
    with pytest.raises(ValueError, match="needs one measure"):
        select(read_runs([path]), where, "mean")


# What is read


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"metrics\.json: no such file; build it"):
        read_run(tmp_path / "metrics.json")


def test_a_cell_given_twice_is_refused(tmp_path):
    path = write_scores(tmp_path, cell(), {0: 0.5})
    with pytest.raises(StoreError, match="cell a/x is given twice"):
        read_runs([path, path])


def test_cells_of_two_studies_are_refused(tmp_path):
    paths = [write_scores(tmp_path, cell(corpus=study), {0: 0.5}, study=study) for study in ("one", "other")]
    with pytest.raises(StoreError, match="a run of the other study among those of one"):
        read_runs(paths)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no fits"),
        ([(0, "a"), (0, "a")], "a run and fold occur twice"),
        ([(0, "a"), (0, "b"), (1, "a")], "not every run has the folds a, b"),
        ([(0, "a"), (1, "b")], "not every run has the folds a, b"),
    ],
)
def test_runs_that_are_not_whole_are_refused(tmp_path, names, message):
    path = write_scores(tmp_path, cell(), {0: 0.5})
    content = read_sealed_json(path)
    content["fits"] = [{**content["fits"][0], "run": run, "fold": fold} for run, fold in names]
    write_sealed_json(path, content)
    with pytest.raises(StoreError, match=message):
        read_run(path)


def test_what_is_no_metrics_is_refused(tmp_path):
    write_sealed_json(tmp_path / "metrics.json", {"study": "dlc"})
    with pytest.raises(StoreError, match="not the metrics of a trained cell"):
        read_run(tmp_path / "metrics.json")


def test_an_edited_score_is_refused(tmp_path):
    path = write_scores(tmp_path, cell(), {0: 0.5}, n_test=3)
    path.write_text(path.read_text().replace("0.5", "1.0"))
    with pytest.raises(SerflowError, match=r"metrics\.json: does not match its SHA-256"):
        read_run(path)


def write_predicted(folder):
    """Write a cell with predictions; every second is right, and the oracle's always."""
    rows = [(f"u{i}", np.eye(3)[i % 3], (i + i % 2) % 3) for i in range(12)]
    oracle = {"oracle_prediction": [CLASSES[i % 3] for i in range(12)], "gate": ["natural"] * 12}
    found = predicted(rows, more=oracle)
    own = found.tallies["test", "prediction"]
    tallies = {**found.tallies, ("test", "oracle"): Tally(own.totals, own.totals), ("train", "prediction"): own}
    return write_cell(folder, cell(), [found._replace(tallies=tallies)]).metrics


def test_scores_are_those_that_the_predictions_give(tmp_path):
    (found,) = read_run(write_predicted(tmp_path)).fits
    assert found.tallies["test", "prediction"].hits.tolist() == [2, 2, 2]
    assert found.tallies["test", "oracle"].hits.tolist() == [4, 4, 4]


@pytest.mark.parametrize("what", ["prediction", "oracle"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_score_that_its_predictions_do_not_give_is_refused_though_it_is_sealed(tmp_path, what, place):
    path = write_predicted(tmp_path)
    content = read_sealed_json(path)
    content["fits"][0]["tallies"]["test"][what]["mid"][place] += 1
    write_sealed_json(path, content)
    with pytest.raises(StoreError, match=f"run 0, fold none, test: the {what} scores are not what predictions.parquet"):
        read_run(path)


def test_metrics_beside_the_predictions_of_another_training_are_refused(tmp_path):
    path = write_predicted(tmp_path / "one")
    other = write_cell(tmp_path / "two", cell("b"), [predicted([("u", [1, 0, 0], 0)])]).predictions
    shutil.copy(other, path.with_name("predictions.parquet"))
    with pytest.raises(StoreError, match=r"metrics\.json: cell is another than that of predictions\.parquet"):
        read_run(path)
    path.with_name("predictions.parquet").unlink()
    with pytest.raises(StoreError, match=r"predictions\.parquet: no such file"):
        read_run(path)


def test_a_run_is_read_as_it_was_written(tmp_path):
    path = write_scores(tmp_path, cell(), {1: {"a": 0.5, "b": 0.25}, 0: {"a": 1.0, "b": 0.0}}, excluded={"why": 3})
    run = read_run(path)
    assert (run.name, run.cell, run.classes, run.excluded) == ("a/x", cell(), list(CLASSES), {"why": 3})
    assert run.runs() == [0, 1]
    assert [(found.run, found.fold) for found in run.fits] == [(1, "a"), (1, "b"), (0, "a"), (0, "b")]
    assert run.fits[1].tallies["test", "prediction"].hits.tolist() == [16.75, 16.75, 16.5]
    assert sum(run.fits[0].counts["train"].values()) == 700


def test_a_line_per_fit_role_and_prediction(tmp_path):
    tallies = {"prediction": share(0.5, 30), "words": words(3_000_000, 2_000_001), "unseen_words": words(1, 4)}
    path = write_cell(tmp_path, cell(), [fit(2, "a", tallies, of_roles={("val", "prediction"): share(1.0, 9)})]).metrics
    assert list(score_rows(read_run(path))) == [
        [2, "a", "test", "prediction", 30, "50.00", "50.00", ""],
        [2, "a", "test", "words", 2_000_001, "", "", "150.00"],
        [2, "a", "test", "unseen_words", 4, "", "", "25.00"],
        [2, "a", "val", "prediction", 9, "100.00", "100.00", ""],
    ]
