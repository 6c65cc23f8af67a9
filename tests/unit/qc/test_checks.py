"""What checks find in made-up runs."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from made_up_runs import SYNTHETIC, UTTERANCE, predicted, write_cell, write_utterances
from serflow.qc.bands import Band
from serflow.qc.checks import (
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
from serflow.qc.page import CHECKS, page
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
        "# Checks of Made-up (synthetic)\n\n240 checks: 60 wrong, 60 doubtful, 60 to look at, 60 fine."
    )
