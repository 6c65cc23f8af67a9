"""Claims over made-up runs: the numbers, their intervals, and the page."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from made_up_runs import SYNTHETIC, UTTERANCE, predicted, share, write_cell, write_utterances
from serflow.claims.card import COLUMNS, Sources, judge_all, lines, page
from serflow.claims.ledger import Claims
from serflow.report.headings import Heading, Layout
from serflow.report.tables import Printed
from serflow.runs.bootstrap import read_clusters
from serflow.runs.scores import read_runs
from serflow.settings.base import checked

SYSTEMS = {"alone": "Alone", "adversary": "Adversary"}
LAYOUT = Layout(
    ("System",),
    [Heading((title,), {"system": name, "corpus": "toy"}) for name, title in SYSTEMS.items()],
    [
        Heading(("Test",), {"measure": "wa"}),
        Heading(("Val",), {"measure": "wa", "role": "val"}),
        Heading(("Speakers",), {"measure": "speaker_wa"}),
    ],
    over_folds="pooled",
)
N = 240


def claims(**asserts: object) -> Claims:
    said = {"table": "table1", "rows": ["Adversary", "Alone"], "columns": ["Test"], "is": "above", **asserts}
    return checked(
        Claims, {"claims": {"helps": {"sentence": "It | helps.", "section": "Sec. 4", "asserts": [said]}}}, "c"
    )


def rows(names: list[str], accuracy: float, seed: int) -> list:
    """Of each speaker the same share is right, whichever they are."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=len(names))
    wrong = np.zeros(len(names), dtype=bool)
    for speaker in range(12):
        of = np.array([place for place, name in enumerate(names) if name.startswith(f"s{speaker:02d}")])
        wrong[generator.permutation(of)[: round((1 - accuracy) * len(of))]] = True
    said = np.where(wrong, (targets + 1) % 3, targets)
    return [
        (name, np.eye(3)[target].tolist(), int(one)) for name, target, one in zip(names, targets, said, strict=True)
    ]


def sources(folder: Path, accuracies: dict[str, list[float]], *, speakers: float = 0.5, **said: object) -> Sources:
    names = [f"s{speaker:02d}_{i}" for speaker in range(12) for i in range(N // 12)]
    table = [{UTTERANCE: name, "speaker": name[:3]} for name in names]
    utterances = write_utterances(folder, "toy", table)
    for place, (system, of_runs) in enumerate(accuracies.items()):
        fits = [
            predicted(rows(names, accuracy, 10 * place + run), run)._replace(
                tallies={
                    **predicted(rows(names, accuracy, 10 * place + run), run).tallies,
                    ("val", "prediction"): share(accuracy, 200),
                    ("test", "speaker"): share(speakers + 0.01 * run + 0.1 * place),
                }
            )
            for run, accuracy in enumerate(of_runs)
        ]
        write_cell(folder, {"system": system, "corpus": "toy"}, fits, study="made_up", **said)
    runs = read_runs(folder / "runs/made_up" / system / "toy/metrics.json" for system in accuracies)
    published = {(("Adversary",), "Test"): Printed(60.0), (("Alone",), "Test"): Printed(58.5)}
    return Sources({"table1": LAYOUT}, {"table1": published}, runs, {"toy": read_clusters(utterances, "speaker")})


@pytest.mark.parametrize(
    ("adversary", "verdict"),
    [([0.7, 0.7, 0.7], "holds"), ([0.45, 0.5, 0.6], "within noise"), ([0.3, 0.3, 0.3], "does not hold")],
)
def test_a_difference_is_judged_by_its_interval(tmp_path: Path, adversary: list[float], verdict: str) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": adversary})
    (judged,) = judge_all(claims(), found, 200)
    (part,) = judged.parts
    assert (judged.verdict.value, part.verdict.value) == (verdict, verdict)
    assert part.found is not None
    assert part.found.value == pytest.approx(100 * (np.mean(adversary) - 0.5))
    assert (part.found.drawn, part.found.n_runs, part.found.n_clusters) == ("clusters and runs", 3, 12)
    assert part.paper == pytest.approx(1.5)


def test_trainings_that_vary_leave_the_same_difference_within_noise(tmp_path: Path) -> None:
    steady = sources(tmp_path / "a", {"alone": [0.5, 0.5, 0.5], "adversary": [0.6, 0.6, 0.6]})
    varying = sources(tmp_path / "b", {"alone": [0.5, 0.5, 0.5], "adversary": [0.3, 0.6, 0.9]})
    verdicts = [judge_all(claims(), found, 200)[0].verdict.value for found in (steady, varying)]
    assert verdicts == ["holds", "within noise"]


def test_one_run_cannot_tell(tmp_path: Path) -> None:
    (judged,) = judge_all(claims(), sources(tmp_path, {"alone": [0.5], "adversary": [0.9]}), 50)
    assert judged.verdict.value == "cannot tell"
    assert judged.why == ("needs two runs or more: one does not tell how training varies",)
    assert judged.parts[0].found is not None


def test_scores_without_predictions_vary_over_runs_alone(tmp_path: Path) -> None:
    """Adversary tells speakers 10 points better in every run."""
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.5, 0.5, 0.5]})
    (judged,) = judge_all(claims(columns=["Speakers"]), found, 50)
    (part,) = judged.parts
    assert part.found is not None
    assert (part.found.drawn, part.found.n_clusters, judged.verdict.value) == ("runs alone", None, "holds")
    assert [part.found.value, part.found.low, part.found.high] == pytest.approx([10.0] * 3)


def test_a_gap_between_validation_and_test_has_its_sign(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.7, 0.7, 0.7]})
    (judged,) = judge_all(claims(rows=["Adversary"], columns=[["Val", "Test"]], **{"is": "alike", "margin": 1}), found)
    assert judged.parts[0].found is not None
    assert judged.parts[0].found.value == pytest.approx(0.0, abs=0.3)
    assert judged.verdict.value == "holds"


def test_validation_and_test_are_drawn_apart(tmp_path: Path) -> None:
    """Their clusters are others: of the same predictions the difference is 0, and its interval is not."""
    found = sources(tmp_path, {"alone": [0.5, 0.5]})
    names = [f"s{speaker:02d}_{i}" for speaker in range(12) for i in range(N // 12)]
    # every other speaker is understood
    said = [(name, [1.0, 0.0, 0.0], int(name[1:3]) % 2) for name in names]
    fits = []
    for run in (0, 1):
        both = [predicted(said, run, role=role).tested[0] for role in ("val", "test")]
        fits.append(predicted(said, run)._replace(tested=both))
    files = write_cell(tmp_path / "both", {"system": "alone", "corpus": "toy"}, fits, study="made_up")
    asked = claims(rows=["Alone"], columns=[["Val", "Test"]])
    one_row = LAYOUT._replace(rows=LAYOUT.rows[:1])
    (judged,) = judge_all(asked, found._replace(layouts={"table1": one_row}, runs=read_runs([files.metrics])), 200)
    estimate = judged.parts[0].found
    assert estimate is not None
    assert (estimate.value, estimate.drawn) == (pytest.approx(0.0), "clusters and runs")
    assert estimate.low < -0.5
    assert estimate.high > 0.5


def test_stand_ins_are_stamped_and_not_held_against_printed_numbers(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.9, 0.9, 0.9]}, provenance=SYNTHETIC)
    (judged,) = judge_all(claims(), found, 50)
    assert (judged.verdict.value, judged.parts[0].marks) == ("holds", ("synthetic",))
    text = page("Made-up", [judged])
    assert "**Judged on other data than the paper's**, other columns or settings: synthetic." in text
    assert "**holds** (synthetic)" in text
    assert "holds: 1; within noise: 0; does not hold: 0; cannot tell: 0." in text
    (judged,) = judge_all(claims(**{"is": "about", "value": 40, "margin": 5}), found, 50)
    assert judged.verdict.value == "cannot tell"
    assert judged.why == ("needs the paper's own data: synthetic stand-in",)


def test_another_corpus_than_the_papers_stamps_the_verdict(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.3, 0.3, 0.3]})
    columns = [column._replace(reasons=("not the paper's corpus",)) for column in LAYOUT.columns]
    (judged,) = judge_all(claims(), found._replace(layouts={"table1": LAYOUT._replace(columns=columns)}), 200)
    assert judged.parts[0].marks == ("not the paper's corpus",)
    assert "**does not hold** (not the paper's corpus)" in page("Made-up", [judged])
    # what the paper prints under that name is of another corpus
    assert math.isnan(judged.parts[0].paper)


def test_other_settings_than_the_papers_stamp_the_verdict_and_are_named(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.7, 0.7, 0.7]})
    said = {"toy": ["epochs 3, the paper's 100"], "other": ["batch size 2, the paper's 64"]}
    (judged,) = judge_all(claims(), found._replace(layouts={"table1": LAYOUT._replace(departures=said)}), 50)
    (part,) = judged.parts
    assert part.marks == ("other settings",)
    assert part.notes[-1] == "epochs 3, the paper's 100"
    assert "**holds** (other settings)" in page("Made-up", [judged])


def test_a_line_a_number_and_one_for_what_no_table_tells(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    more = checked(Claims, {"claims": {"other": {"sentence": "s", "section": "5", "needs": "a figure"}}}, "c")
    asked = Claims(claims={**claims(columns=["Test", "Speakers"]).claims, **more.claims})
    written = [dict(zip(COLUMNS, line, strict=True)) for line in lines(judge_all(asked, found, 50))]
    assert [(line["claim"], line["number"]) for line in written] == [
        ("helps", "Adversary - Alone, Test"), ("helps", "Adversary - Alone, Speakers"), ("other", ""),
    ]  # fmt: skip
    assert (written[0]["value"], written[0]["asserted"], written[0]["paper"]) == ("20.00", "above 0", "1.50")
    assert (written[2]["verdict"], written[2]["note"]) == ("cannot tell", "needs a figure")


def test_what_the_papers_numbers_deny_is_said(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    (judged,) = judge_all(claims(**{"is": "below"}), found, 50)
    assert "the paper's own numbers do not say so" in judged.parts[0].notes


def test_the_stage_writes_both(tmp_path: Path) -> None:
    """Of a study whose tables are not there all claims need something, and the page says what."""
    files = [tmp_path / "claims.csv", tmp_path / "claims.md"]
    command = [
        sys.executable,
        "-m",
        "serflow.stages.judge_claims",
        "--study",
        "dlc",
        "--title",
        "DLC",
        "--layouts",
        "{}",
    ]
    command += ["--unit", "dialogue", "--code", "0", "--csv", *map(str, files[:1]), "--page", str(files[1])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with open(files[0], encoding="utf-8", newline="") as handle:
        written = list(csv.DictReader(handle))
    assert {line["verdict"] for line in written} == {"cannot tell"}
    assert "needs table table1" in {line["note"] for line in written}
    assert files[1].read_text().startswith("# Claims of the DLC paper\n")
