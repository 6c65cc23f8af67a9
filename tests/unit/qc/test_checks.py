"""What checks find in made-up runs."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from made_up_runs import CLASSES, SYNTHETIC, UTTERANCE, predicted, write_cell, write_utterances
from serflow.qc.bands import Band
from serflow.qc.checks import (
    COLUMNS,
    DOUBTFUL,
    FINE,
    LOOK,
    WRONG,
    Check,
    Sources,
    check_fits,
    check_table,
    detectable_difference,
)
from serflow.qc.page import CHECKS, page, rows
from serflow.report.headings import Heading, Layout
from serflow.report.tables import Printed
from serflow.runs.bootstrap import read_clusters, read_predictions
from serflow.runs.scores import read_runs
from serflow.training.metrics import chance_tally, tally

N_SPEAKERS, EACH = 20, 12


def layout(*systems: str, measure: str = "ua") -> Layout:
    rows = [Heading((name,), {"system": name}, (systems[0],) if name != systems[0] else None) for name in systems]
    return Layout(("System",), rows, [Heading(("Toy",), {"corpus": "toy", "measure": measure})], over_folds="pooled")


def sources(
    folder: Path,
    accuracies: dict[str, list[float]],
    *,
    bands: tuple[Band, ...] = (),
    claimed: float = 5.0,
    **said: object,
) -> Sources:
    """Cells whose runs are right as often as is said, in every speaker alike."""
    names = [f"s{speaker:02d}_{i:02d}" for speaker in range(N_SPEAKERS) for i in range(EACH)]
    utterances = write_utterances(folder, "toy", [{UTTERANCE: name, "speaker": name[:3]} for name in names])
    truth = np.arange(len(names)) % 3
    targets = np.eye(3)[truth]
    paths = []
    for place, (system, of_runs) in enumerate(accuracies.items()):
        fits = []
        for run, accuracy in enumerate(of_runs):
            generator = np.random.default_rng(100 * place + run)
            guess = np.where(generator.random(len(names)) < accuracy, truth, (truth + 1 + generator.integers(2)) % 3)
            fit = predicted(list(zip(names, targets.tolist(), guess.tolist(), strict=True)), run)
            largest = tally(targets, np.zeros(len(names), dtype=int))
            controls = {("test", "chance"): chance_tally(targets, 3), ("test", "majority"): largest}
            fits.append(fit._replace(tallies={**fit.tallies, **controls}))
        paths.append(write_cell(folder, {"system": system, "corpus": "toy"}, fits, study="made_up", **said).metrics)
    published = {(("plain",), "Toy"): Printed(50.0), (("better",), "Toy"): Printed(50.0 + claimed)}
    return Sources(
        read_runs(paths),
        [read_predictions(path.with_name("predictions.parquet")) for path in paths],
        {"toy": read_clusters(utterances, "speaker")},
        {"table1": published},
        bands,
    )


def found(checks: list[Check], check: str, row: str) -> Check:
    (one,) = [line for line in checks if (line.check, line.row) == (check, row)]
    return one


def check(given: Sources, *systems: str, measure: str = "ua") -> list[Check]:
    return list(check_table("table1", layout(*systems, measure=measure), given, 200))


@pytest.mark.parametrize(
    ("accuracy", "of_controls", "of_runs"), [(0.9, FINE, FINE), (1 / 3, None, DOUBTFUL), (0.05, DOUBTFUL, DOUBTFUL)]
)
def test_scores_are_held_against_chance(tmp_path: Path, accuracy: float, of_controls: int | None, of_runs: int) -> None:
    checks = check(sources(tmp_path, {"plain": [accuracy] * 3}), "plain")
    controls = found(checks, "controls", "plain")
    assert of_controls in (None, controls.severity)
    assert controls.low == pytest.approx(100 / 3)
    assert controls.scaled == pytest.approx((controls.value - 100 / 3) / (200 / 3))
    assert found(checks, "left chance", "plain").severity == of_runs


def test_a_run_that_never_left_chance_is_named(tmp_path: Path) -> None:
    one = found(check(sources(tmp_path, {"plain": [0.9, 1 / 3, 0.9]}), "plain"), "left chance", "plain")
    assert (one.severity, one.says) == (LOOK, "run 1 cannot be told from chance")
    assert one.value == pytest.approx(200 / 3)


def test_shuffled_labels_have_to_stay_at_chance(tmp_path: Path) -> None:
    for accuracy, severity in ((1 / 3, FINE), (0.6, WRONG)):
        given = sources(tmp_path / str(severity), {"single_shuffled": [accuracy] * 3})
        one = found(check(given, "single_shuffled"), "controls", "single_shuffled")
        assert (one.severity, bool(one.says)) == (severity, severity == WRONG)


def test_shuffled_labels_that_cannot_be_told_from_chance_are_no_clean_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "N_SPEAKERS", 1)
    one = found(
        check(sources(tmp_path, {"single_shuffled": [0.9] * 3}), "single_shuffled"), "controls", "single_shuffled"
    )
    assert (one.severity, one.n_clusters) == (LOOK, 1)
    assert "one cluster" in one.says


def test_a_band_is_of_real_data_alone(tmp_path: Path) -> None:
    bands = (Band("table1", "*", "Toy", -math.inf, 60.0, "others"),)
    for accuracy, severity in ((0.5, FINE), (0.9, DOUBTFUL)):
        given = sources(tmp_path / str(severity), {"plain": [accuracy] * 3}, bands=bands)
        one = found(check(given, "plain"), "published", "plain")
        assert (one.severity, one.high, math.isnan(one.low)) == (severity, 60.0, True)
    stand_in = sources(tmp_path / "synthetic", {"plain": [0.9] * 3}, bands=bands, provenance=SYNTHETIC)
    assert [line for line in check(stand_in, "plain") if line.check == "published"] == []


def test_a_test_that_cannot_tell_what_is_claimed_is_too_small(tmp_path: Path) -> None:
    systems = {"plain": [0.5] * 3, "better": [0.6] * 3}
    for claimed, severity in ((1.0, LOOK), (60.0, FINE)):
        one = found(check(sources(tmp_path / str(severity), systems, claimed=claimed), *systems), "size", "better")
        assert (one.severity, one.high, one.n_clusters) == (severity, pytest.approx(claimed), N_SPEAKERS)
        assert 1.0 < one.value < 60.0
        assert one.says.startswith(f"{N_SPEAKERS} clusters (speaker) and 3 runs tell differences of ")


def test_what_can_be_detected_is_2_8_standard_errors() -> None:
    """Of one run: power 80 %, two-sided at 5 %."""
    replicates = np.random.default_rng(0).normal(3.0, 2.0, (1, 20_000))
    assert detectable_difference(replicates) == pytest.approx(2.8016 * replicates.std(), rel=1e-3)


def test_fits_without_a_score_have_failed(tmp_path: Path) -> None:
    whole = predicted([("a", [1, 0, 0], 0)])
    failed = whole._replace(
        fit=whole.fit._replace(run=1), tested=[], tallies={}, weights={}, absent={("test", "prediction"): "too few"}
    )
    run = read_runs([write_cell(tmp_path, {"system": "plain", "corpus": "toy"}, [whole, failed]).metrics])
    one = check_fits(run)
    assert (one.value, one.severity) == (50.0, WRONG)
    assert one.says == "1 of 2 fits: plain/toy run 1, fold none: too few"


def test_the_page_is_one_screen(tmp_path: Path) -> None:
    many = [Check(name, "table1", f"row {i}", "UA", i % 4, 1.0, says="so") for name in CHECKS for i in range(40)]
    text = page("Made-up", ["synthetic"], many)
    assert len(text.splitlines()) < 40
    assert text.startswith(
        "# Checks of Made-up (synthetic)\n\n280 checks: 70 wrong, 70 doubtful, 70 to look at, 70 fine."
    )


def exact(
    folder: Path,
    hits: dict[str, list[list[int]]],
    *,
    classes: tuple[int, ...] = (0, 1, 2) * (EACH // 3),
    oracle: dict[str, list[int]] | None = None,
    **said: object,
) -> Sources:
    """Cells that are right in so many of the twelve utterances of each speaker, by run.

    ``classes`` are those of the utterances of each speaker; ``oracle`` has how many an oracle gets right.
    """
    speakers = range(max(len(of_run) for of_runs in hits.values() for of_run in of_runs))
    names = [f"s{speaker:02d}_{i:02d}" for speaker in speakers for i in range(EACH)]
    utterances = write_utterances(folder, "toy", [{UTTERANCE: name, "speaker": name[:3]} for name in names])
    truth = np.tile(classes, len(speakers))
    targets = np.eye(3)[truth]
    controls = {
        ("test", "chance"): chance_tally(targets, 3),
        ("test", "majority"): tally(targets, np.full(len(names), np.bincount(truth).argmax())),
    }

    def guesses(right: list[int]) -> np.ndarray:
        return np.where(np.tile(np.arange(EACH), len(speakers)) < np.repeat(right, EACH), truth, (truth + 1) % 3)

    paths = []
    for system, of_runs in hits.items():
        fits = []
        for run, right in enumerate(of_runs):
            more, tallies = {}, dict(controls)
            if oracle is not None and system in oracle:
                routed = guesses(oracle[system])
                more["oracle_prediction"] = [CLASSES[guess] for guess in routed]
                tallies["test", "oracle"] = tally(targets, routed)
            fit = predicted(list(zip(names, targets.tolist(), guesses(right).tolist(), strict=True)), run, more=more)
            fits.append(fit._replace(tallies={**fit.tallies, **tallies}))
        paths.append(write_cell(folder, {"system": system, "corpus": "toy"}, fits, study="made_up", **said).metrics)
    cells = [read_predictions(path.with_name("predictions.parquet")) for path in paths]
    return Sources(read_runs(paths), cells, {"toy": read_clusters(utterances, "speaker")}, {}, ())


ALTERNATING = [3, 5] * (N_SPEAKERS // 2)
"""Hits of each speaker: in all a third, as chance."""


@pytest.mark.parametrize(
    ("of_first", "severity", "says"),
    [(2, LOOK, "no better than chance"), (3, LOOK, "no better than chance"), (4, FINE, "")],
)
def test_what_the_interval_has_on_both_sides_is_told_by_the_score(
    tmp_path: Path, of_first: int, severity: int, says: str
) -> None:
    """Of 240 utterances 79, 80 and 81 are right; a third is chance."""
    given = exact(tmp_path, {"plain": [[of_first, *ALTERNATING[1:]]]})
    one = found(check(given, "plain", measure="wa"), "controls", "plain")
    assert one.value == pytest.approx((77 + of_first) / 2.4)
    assert (one.severity, one.says.partition(",")[0]) == (severity, says)


@pytest.mark.parametrize(("measure", "severity"), [("wa", LOOK), ("ua", FINE)])
def test_of_wa_the_largest_class_is_chance(tmp_path: Path, measure: str, severity: int) -> None:
    """Two of three utterances are of one class, and right; UA, 50 %, is above the third that any single class gives."""
    given = exact(tmp_path, {"plain": [[8] * N_SPEAKERS] * 2}, classes=(0,) * 7 + (1,) + (0, 1, 2, 2))
    one = found(check(given, "plain", measure=measure), "controls", "plain")
    assert (one.severity, one.low) == (severity, pytest.approx(200 / 3 if measure == "wa" else 100 / 3))


WITH_ORACLE = Layout(
    ("System",),
    [Heading(("routed",), {"system": "routed"}), Heading(("told",), {"system": "routed", "measure": "oracle_wa"})],
    [Heading(("Toy",), {"corpus": "toy"})],
    {"measure": "wa"},
    over_folds="pooled",
)


@pytest.mark.parametrize(
    ("right", "severity"),
    [([6] * N_SPEAKERS, FINE), ([8] * N_SPEAKERS, FINE), ([10] * N_SPEAKERS, DOUBTFUL), ([6, 11] * 10, LOOK)],
)
def test_who_is_told_the_noise_is_the_most_that_can_be_reached(tmp_path: Path, right: list[int], severity: int) -> None:
    """The oracle is right in 8 of 12 utterances; of what is above it, some are by the whole interval."""
    given = exact(tmp_path, {"routed": [right] * 2}, oracle={"routed": [8] * N_SPEAKERS})
    checks = list(check_table("table1", WITH_ORACLE, given, 200))
    one = found(checks, "controls", "routed")
    assert (one.severity, one.high) == (severity, pytest.approx(200 / 3))
    assert one.says == ("" if severity == FINE else "above told, which is told what it has to guess")
    assert one.scaled == pytest.approx((np.mean(right) - 4) / 4)
    assert {line.row for line in checks if line.check in ("controls", "left chance")} == {"routed"}


def test_shuffled_labels_may_be_above_chance_by_what_the_test_draws(tmp_path: Path) -> None:
    given = exact(tmp_path, {"single_shuffled": [[4, *ALTERNATING[1:]]]})
    one = found(check(given, "single_shuffled", measure="wa"), "controls", "single_shuffled")
    assert one.value > 100 / 3
    assert one.severity == FINE


def test_shuffled_labels_may_be_above_chance_by_how_trainings_vary(tmp_path: Path) -> None:
    """Two runs of three are above it with every speaker, one is below."""
    given = exact(tmp_path, {"single_shuffled": [[1] * N_SPEAKERS, [7] * N_SPEAKERS, [7] * N_SPEAKERS]})
    one = found(check(given, "single_shuffled", measure="wa"), "controls", "single_shuffled")
    assert one.value > 40
    assert one.severity == FINE


def test_a_run_tested_on_one_speaker_has_not_left_chance(tmp_path: Path) -> None:
    one = found(check(exact(tmp_path, {"plain": [[12]] * 2}), "plain"), "left chance", "plain")
    assert (one.severity, one.value) == (LOOK, 0.0)
    assert "one cluster" in one.says


def test_a_run_at_chance_with_every_speaker_has_not_left_it(tmp_path: Path) -> None:
    given = exact(tmp_path, {"plain": [[4] * N_SPEAKERS, [12] * N_SPEAKERS]})
    one = found(check(given, "plain", measure="wa"), "left chance", "plain")
    assert (one.severity, one.says) == (LOOK, "run 0 cannot be told from chance")


@pytest.mark.parametrize(
    ("low", "high", "severity", "says"),
    [
        (60.0, math.inf, DOUBTFUL, "below what others found; others"),
        (-math.inf, 40.0, DOUBTFUL, "above what others found; others"),
        (51.0, math.inf, LOOK, "below what others found; others"),
        (-math.inf, 49.0, LOOK, "above what others found; others"),
        (40.0, 60.0, FINE, "others"),
        (50.0, 50.0, FINE, "others"),
    ],
)
def test_a_score_beyond_a_bound_is_looked_at_and_doubted_by_its_whole_interval(
    tmp_path: Path, low: float, high: float, severity: int, says: str
) -> None:
    """Half of the utterances are right, of half of the speakers two more or fewer."""
    given = exact(tmp_path, {"plain": [[4, 8] * 10] * 2})._replace(
        bands=(Band("table1", "*", "Toy", low, high, "others"),)
    )
    one = found(check(given, "plain", measure="wa"), "published", "plain")
    assert (one.severity, one.says) == (severity, says)
    ends = [math.nan if math.isinf(end) else end for end in (low, high)]
    assert [one.low, one.high] == pytest.approx(ends, nan_ok=True)


@pytest.mark.parametrize("part", ["rows", "columns"])
def test_a_row_or_column_that_the_paper_has_not_is_held_against_nothing_published(tmp_path: Path, part: str) -> None:
    systems = {"plain": [[6] * N_SPEAKERS] * 2, "better": [[7] * N_SPEAKERS] * 2}
    given = exact(tmp_path, systems)._replace(
        bands=(Band("table1", "*", "Toy", -math.inf, 40.0, "others"),),
        published={"table1": {(("plain",), "Toy"): Printed(50.0), (("better",), "Toy"): Printed(58.0)}},
    )
    own = layout(*systems, measure="wa")
    foreign = own._replace(**{part: [of._replace(reasons=("not the paper's",)) for of in getattr(own, part)]})
    for table, n_bands, claimed in ((own, 2, 8.0), (foreign, 0, math.nan)):
        checks = list(check_table("table1", table, given, 50))
        assert sum(line.check == "published" for line in checks) == n_bands
        assert found(checks, "size", "better").high == pytest.approx(claimed, nan_ok=True)


def test_what_both_rows_owe_to_their_speakers_hides_no_difference(tmp_path: Path) -> None:
    """Speakers differ by half of their utterances; the one row is right in two more of each."""
    one = found(
        check(exact(tmp_path, {"plain": [[2, 8] * 10] * 3, "better": [[4, 10] * 10] * 3}), "plain", "better"),
        "size",
        "better",
    )
    assert one.value == pytest.approx(0.0, abs=1e-9)
    assert (one.severity, math.isnan(one.high)) == (FINE, True)
    assert one.says == "20 clusters (speaker) and 3 runs tell differences of 0.0 points in four of five tries"


def test_the_smallest_difference_is_of_the_runs_that_both_rows_have(tmp_path: Path) -> None:
    given = exact(tmp_path, {"plain": [[2, 8] * 10], "better": [[4, 10] * 10] * 3})
    one = found(check(given, "plain", "better"), "size", "better")
    assert one.n_runs == 1
    assert one.says.startswith("20 clusters (speaker) and one run, however training varies, tell")


def test_one_speaker_tells_no_difference(tmp_path: Path) -> None:
    one = found(check(exact(tmp_path, {"plain": [[4]] * 2, "better": [[8]] * 2}), "plain", "better"), "size", "better")
    assert (one.severity, one.says) == (LOOK, "1 cluster (speaker) and 2 runs tell no difference")
    assert math.isnan(one.value)


def test_the_difference_that_the_paper_has_is_a_difference_whichever_row_is_better(tmp_path: Path) -> None:
    given = exact(tmp_path, {"plain": [[2, 8] * 10] * 2, "better": [[8, 2] * 10] * 2})
    for claimed in (-5.0, 5.0):
        published = {"table1": {(("plain",), "Toy"): Printed(50.0), (("better",), "Toy"): Printed(50.0 + claimed)}}
        one = found(check(given._replace(published=published), "plain", "better"), "size", "better")
        assert (one.severity, one.high) == (LOOK, pytest.approx(5.0))
        assert one.says.endswith("; the paper has one of 5.0")


def test_what_can_be_detected_takes_in_how_training_varies() -> None:
    """Two runs whose difference is 0 and 10 with all speakers: one of them is drawn, with a deviation of 5."""
    replicates = np.repeat([[0.0], [10.0]], 20_000, axis=1)
    assert detectable_difference(replicates) == pytest.approx(2.8016 * 5, rel=0.01)


def test_draws_in_which_nothing_is_counted_are_left_out() -> None:
    replicates = np.random.default_rng(0).normal(0.0, 1.0, (1, 20_000))
    some = np.concatenate([replicates, np.full((1, 100), math.nan)], axis=1)
    assert detectable_difference(some) == pytest.approx(detectable_difference(replicates))


@pytest.mark.parametrize(
    ("n_failed", "of", "severity"),
    [(0, 4, FINE), (1, 200, LOOK), (9, 100, LOOK), (1, 10, DOUBTFUL), (49, 100, DOUBTFUL), (1, 2, WRONG)],
)
def test_how_bad_a_share_of_failed_fits_is(tmp_path: Path, n_failed: int, of: int, severity: int) -> None:
    (run,) = read_runs(
        [write_cell(tmp_path, {"system": "plain", "corpus": "toy"}, [predicted([("a", [1, 0, 0], 0)])]).metrics]
    )
    failed = run.fits[0]._replace(tallies={})
    one = check_fits([run._replace(fits=[failed] * n_failed + [*run.fits] * (of - n_failed))])
    assert (one.value, one.severity) == (pytest.approx(100 * n_failed / of), severity)
    more = f"; and {n_failed - 3} more" if n_failed > 3 else ""
    assert one.says.endswith(more or "no score" if n_failed else f"none of {of} fits")


@pytest.mark.parametrize(("n_absent", "severity"), [(0, FINE), (1, DOUBTFUL), (2, WRONG)])
def test_cells_without_a_value_are_counted_with_their_reasons(tmp_path: Path, n_absent: int, severity: int) -> None:
    systems = ("plain", "better", "other")
    given = exact(tmp_path, {name: [[8] * N_SPEAKERS] * 2 for name in systems})
    own = layout(*systems, measure="wa")
    rows = [row._replace(without={"toy": f"not {i}"} if i >= 3 - n_absent else {}) for i, row in enumerate(own.rows)]
    one = found(list(check_table("table1", own._replace(rows=rows), given, 50)), "missing cells", "")
    assert (one.value, one.severity) == (pytest.approx(100 * n_absent / 3), severity)
    assert one.says == f"{n_absent} of 3 cells" + {0: "", 1: ": not 2", 2: ": not 1; not 2"}[n_absent]


def test_the_page_has_the_worst_first_and_counts_what_is_fine() -> None:
    of_size = [Check("size", "table1", f"row {i}", "UA", severity, value, says=f"says {i}") for i, (severity, value) in
               enumerate([(LOOK, 1.0), (FINE, 7.0), (WRONG, math.nan), (DOUBTFUL, 4.0), (LOOK, 2.0)])]  # fmt: skip
    checks = [*of_size, Check("controls", "table1", "row 9", "UA", LOOK, 3.0, scaled=0.256, says="at chance")]
    text = page("Made-up", [], checks).splitlines()
    assert text[0] == "# Checks of Made-up"
    assert text[2] == "6 checks: 1 wrong, 1 doubtful, 3 to look at, 1 fine."
    (counted,) = (line for line in text if line.startswith("| size |"))
    assert counted.endswith(" | 1 | 5 | 1.00 | 7.00 |")
    assert [line for line in text if line.startswith("- ")] == [
        "- wrong: size of table1, row 2, UA: says 2",
        "- doubtful: size of table1, row 3, UA: says 3",
        "- to look at: controls of table1, row 9, UA: at chance",
        "- to look at: size of table1, row 0, UA: says 0",
    ]
    assert dict(zip(COLUMNS, rows(checks)[-1], strict=True))["scaled"] == "0.26"


@pytest.mark.parametrize(("accuracy", "severity"), [(0.9, FINE), (0.6, LOOK), (0.45, DOUBTFUL)])
def test_a_network_that_a_plain_classifier_beats_is_a_finding(tmp_path: Path, accuracy: float, severity: int) -> None:
    """Doubtful where the whole interval of the paired difference says so, to look at where it is no better."""
    given = sources(tmp_path, {"single": [accuracy] * 3, "svc": [0.61] * 3})
    checks = check(given, "single", "svc")
    one = found(checks, "plain baseline", "single")
    scores = [found(checks, "controls", name).value for name in ("single", "svc")]
    assert one.value == pytest.approx(scores[0] - scores[1])
    assert (one.severity, one.low, one.n_runs) == (severity, 0.0, 3)
    assert f"beside svc, {scores[1]:.1f}" in one.says
    assert ("look for the cause first" in one.says) == (severity == DOUBTFUL)
    # the plain classifier is not held against itself
    assert not [line for line in checks if (line.check, line.row) == ("plain baseline", "svc")]


def test_without_a_plain_classifier_there_is_no_such_check(tmp_path: Path) -> None:
    given = sources(tmp_path, {"single": [0.5] * 3, "other": [0.6] * 3})
    assert not [line for line in check(given, "single", "other") if line.check == "plain baseline"]


def test_a_plain_classifier_of_other_data_or_labels_is_no_baseline(tmp_path: Path) -> None:
    """That of experiment 1 says nothing of experiment 2, and shuffled labels have to be beaten."""
    given = sources(tmp_path, {"single": [0.5] * 3, "svc": [0.9] * 3, "single_shuffled": [1 / 3] * 3})
    whole = layout("single", "svc", "single_shuffled")
    parts = {"single": "exp2", "svc": "exp1", "single_shuffled": "exp1"}
    rows = [row._replace(where={**row.where, "experiment": parts[row.name[0]]}, baseline=None) for row in whole.rows]
    asked = [run._replace(cell={**run.cell, "experiment": parts[run.cell["system"]]}) for run in given.runs]
    cells = [cell._replace(cell={**cell.cell, "experiment": parts[cell.cell["system"]]}) for cell in given.cells]
    checks = list(check_table("table1", whole._replace(rows=rows), given._replace(runs=asked, cells=cells), 200))
    assert {line.row for line in checks} >= {"single", "single_shuffled"}
    assert not [line for line in checks if line.check == "plain baseline"]
