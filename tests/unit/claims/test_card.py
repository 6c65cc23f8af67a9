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
    for speaker in sorted({int(name[1:3]) for name in names}):
        of = np.array([place for place, name in enumerate(names) if name.startswith(f"s{speaker:02d}")])
        wrong[generator.permutation(of)[: round((1 - accuracy) * len(of))]] = True
    said = np.where(wrong, (targets + 1) % 3, targets)
    return [
        (name, np.eye(3)[target].tolist(), int(one)) for name, target, one in zip(names, targets, said, strict=True)
    ]


def sources(
    folder: Path,
    accuracies: dict[str, list[float]],
    *,
    speakers: float = 0.5,
    of_val: float = 0.0,
    n_speakers: int = 12,
    **said: object,
) -> Sources:
    """Cells right as often as is said; in validation ``of_val`` more often."""
    names = [f"s{speaker:02d}_{i}" for speaker in range(n_speakers) for i in range(N // n_speakers)]
    table = [{UTTERANCE: name, "speaker": name[:3]} for name in names]
    utterances = write_utterances(folder, "toy", table)
    for place, (system, of_runs) in enumerate(accuracies.items()):
        fits = [
            predicted(rows(names, accuracy, 10 * place + run), run)._replace(
                tallies={
                    **predicted(rows(names, accuracy, 10 * place + run), run).tallies,
                    ("val", "prediction"): share(accuracy + of_val, 200),
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


def test_what_is_better_in_validation_is_above_the_test(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]}, of_val=0.2)
    (judged,) = judge_all(claims(rows=["Adversary"], columns=[["Val", "Test"]]), found, 50)
    (part,) = judged.parts
    assert part.found is not None
    assert (part.found.value, part.found.drawn) == (pytest.approx(20.0), "runs alone")
    assert judged.verdict.value == "holds"


def test_where_a_number_takes_in_scores_without_predictions_runs_alone_tell(tmp_path: Path) -> None:
    """Adversary is right in 60 %, and its head in 60 and 61 % of speakers: 0 and -1 in two runs."""
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.6, 0.6]})
    (judged,) = judge_all(claims(rows=["Adversary"], columns=[["Test", "Speakers"]]), found, 50)
    estimate = judged.parts[0].found
    assert estimate is not None
    assert (estimate.value, estimate.drawn, estimate.n_clusters) == (pytest.approx(-0.5), "runs alone", None)


def test_a_number_is_of_the_runs_that_all_its_cells_have(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.6, 0.6, 0.9]})
    (judged,) = judge_all(claims(columns=["Test", "Speakers"]), found, 50)
    estimates = [part.found for part in judged.parts if part.found is not None]
    assert [(found.n_runs, round(found.value, 3)) for found in estimates] == [(2, 10.0), (2, 10.0)]


def test_the_smaller_of_two_test_sets_has_to_have_clusters_enough(tmp_path: Path) -> None:
    """Validation has four speakers, the test twelve."""
    found = sources(tmp_path, {"alone": [0.5, 0.5]})
    names = [f"s{speaker:02d}_{i}" for speaker in range(12) for i in range(N // 12)]
    of_role = {"val": [name for name in names if name < "s04"], "test": names}
    fits = []
    for run in (0, 1):
        tested = [predicted(rows(said, 0.5, run), run, role=role).tested[0] for role, said in of_role.items()]
        fits.append(predicted(rows(names, 0.5, run), run)._replace(tested=tested))
    files = write_cell(tmp_path / "both", {"system": "alone", "corpus": "toy"}, fits, study="made_up")
    one_row = found._replace(layouts={"table1": LAYOUT._replace(rows=LAYOUT.rows[:1])}, runs=read_runs([files.metrics]))
    for pair in (["Val", "Test"], ["Test", "Val"]):
        (judged,) = judge_all(claims(rows=["Alone"], columns=[pair]), one_row, 50)
        assert judged.why == ("needs 5 clusters or more in the test set, which has 4",)


def test_a_cell_that_has_no_value_is_what_a_claim_needs(tmp_path: Path) -> None:
    """There is no run of it either."""
    found = sources(tmp_path, {"alone": [0.5, 0.5]})
    absent = LAYOUT.rows[1]._replace(without={"wa": "it has no such head"})
    layout = LAYOUT._replace(rows=[LAYOUT.rows[0], absent])
    (judged,) = judge_all(claims(), found._replace(layouts={"table1": layout}), 50)
    assert judged.verdict.value == "cannot tell"
    assert judged.why == ("needs Adversary, Test (n/a: it has no such head)",)
    assert judged.parts[0].found is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"columns": ["Dev"]}, "column Dev in table1"), ({"rows": ["Adversary", "Other"]}, "row Other in table1"),
     ({"table": "table9"}, "table table9")],
)  # fmt: skip
def test_what_the_tables_do_not_hold_cannot_be_told(tmp_path: Path, changed: dict, why: str) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    (judged,) = judge_all(claims(**changed), found, 50)
    assert (judged.verdict.value, judged.why) == ("cannot tell", (f"needs {why}",))


def test_a_score_that_a_fit_could_not_have_is_what_a_claim_needs(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    runs = [
        run._replace(
            fits=[
                fit._replace(
                    tallies={key: of for key, of in fit.tallies.items() if key != ("test", "speaker")},
                    absent={("test", "speaker"): "one speaker in training"},
                )
                for fit in run.fits
            ]
        )
        if run.cell["system"] == "adversary"
        else run
        for run in found.runs
    ]
    (judged,) = judge_all(claims(columns=["Speakers"]), found._replace(runs=runs), 50)
    assert judged.why == ("needs Adversary, Speakers (one speaker in training)",)


def test_a_cell_that_could_not_be_trained_takes_no_interval_from_others(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    whole = predicted([("s00_0", [1.0, 0.0, 0.0], 0)])
    failed = whole._replace(tested=[], tallies={}, weights={}, absent={("test", "prediction"): "too few"})
    files = write_cell(tmp_path / "failed", {"system": "third", "corpus": "toy"}, [failed], study="made_up")
    layout = LAYOUT._replace(rows=[*LAYOUT.rows, Heading(("Third",), {"system": "third", "corpus": "toy"})])
    more = found._replace(layouts={"table1": layout}, runs=[*found.runs, *read_runs([files.metrics])])
    (judged,) = judge_all(claims(), more, 50)
    estimate = judged.parts[0].found
    assert estimate is not None
    assert (judged.verdict.value, estimate.drawn) == ("holds", "clusters and runs")


def test_rows_of_a_table_need_not_be_tested_on_the_same_utterances_as_its_baseline(tmp_path: Path) -> None:
    """Which rows are compared is the claim's, and not the table's."""
    found = sources(tmp_path, {"alone": [0.5, 0.5]})
    half = [f"s{speaker:02d}_{i}" for speaker in range(6) for i in range(N // 12)]
    fits = [
        predicted(rows(half, 0.7, run), run)._replace(
            tallies={**predicted(rows(half, 0.7, run), run).tallies, ("val", "prediction"): share(0.7)}
        )
        for run in (0, 1)
    ]
    files = write_cell(tmp_path / "half", {"system": "adversary", "corpus": "toy"}, fits, study="made_up")
    layout = LAYOUT._replace(rows=[LAYOUT.rows[0], LAYOUT.rows[1]._replace(baseline=("Alone",))])
    more = found._replace(layouts={"table1": layout}, runs=[*found.runs, *read_runs([files.metrics])])
    (judged,) = judge_all(claims(rows=["Adversary"], value=70, margin=5, **{"is": "about"}), more, 50)
    assert judged.verdict.value == "holds"


def test_what_is_printed_is_not_held_against_other_rows_columns_or_data(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    asked = claims(value=20, margin=5, **{"is": "about"})
    (judged,) = judge_all(asked, found, 50)
    assert judged.verdict.value == "holds"
    foreign = ("not the paper's",)
    of_rows = LAYOUT._replace(rows=[LAYOUT.rows[0], LAYOUT.rows[1]._replace(reasons=foreign)])
    of_columns = LAYOUT._replace(columns=[column._replace(reasons=foreign) for column in LAYOUT.columns])
    for layout in (of_rows, of_columns):
        (judged,) = judge_all(asked, found._replace(layouts={"table1": layout}), 50)
        assert judged.why == ("needs the paper's own data: not the paper's",)
        assert math.isnan(judged.parts[0].paper)
        assert "the paper's own numbers do not say so" not in judged.parts[0].notes


@pytest.mark.parametrize("left", [(("Adversary",), "Test"), (("Alone",), "Test")])
def test_a_number_is_printed_where_all_of_its_cells_are(tmp_path: Path, left: tuple) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    published = {name: value for name, value in found.published["table1"].items() if name == left}
    (judged,) = judge_all(claims(), found._replace(published={"table1": published}), 50)
    assert math.isnan(judged.parts[0].paper)
    assert "the paper's own numbers do not say so" not in judged.parts[0].notes


def test_printed_numbers_are_subtracted_as_they_are_printed(tmp_path: Path) -> None:
    """58.6 - 58.3 is 0.3, though not in binary."""
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]})
    published = {(("Adversary",), "Test"): Printed(58.6), (("Alone",), "Test"): Printed(58.3)}
    (judged,) = judge_all(claims(margin=0.3, **{"is": "not above"}), found._replace(published={"table1": published}))
    assert "the paper's own numbers do not say so" not in judged.parts[0].notes


@pytest.mark.parametrize(("n_speakers", "notes"), [(12, ("few clusters: 12 in the smallest test set",)), (20, ())])
def test_fewer_than_twenty_clusters_are_said_to_be_few(tmp_path: Path, n_speakers: int, notes: tuple) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.7, 0.7]}, n_speakers=n_speakers)
    (judged,) = judge_all(claims(), found, 50)
    assert (judged.verdict.value, judged.parts[0].notes) == ("holds", notes)


def test_a_claim_is_all_that_it_asserts_in_all_of_its_columns(tmp_path: Path) -> None:
    """Adversary is right more often, and tells speakers 10 points better too."""
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.7, 0.7, 0.7]})
    one = {"table": "table1", "rows": ["Adversary", "Alone"], "columns": ["Test", "Speakers"], "is": "above"}
    more = [{**one, "columns": ["Test"], "margin": 15}, {**one, "columns": ["Speakers"], "margin": 15}]
    said = {
        "columns": {"sentence": "s", "section": "4", "asserts": [one]},
        "margins": {"sentence": "s", "section": "4", "asserts": more},
        "third": {"sentence": "s", "section": "4", "asserts": [more[0], {**one, "columns": ["Dev"]}]},
    }
    judged = judge_all(checked(Claims, {"claims": said}, "c"), found, 200)
    assert [[part.verdict.value for part in each.parts] for each in judged] == [
        ["holds", "holds"], ["holds", "does not hold"], ["holds", "cannot tell"],
    ]  # fmt: skip
    assert [each.verdict.value for each in judged] == ["holds", "does not hold", "cannot tell"]
    # why a claim cannot be told is of what cannot, and not what is to be said of the rest
    assert [each.why for each in judged] == [(), (), ("needs column Dev in table1",)]
    written = [dict(zip(COLUMNS, line, strict=True)) for line in lines(judged)]
    assert [(line["part"], line["verdict"]) for line in written] == [
        ("holds", "holds"), ("holds", "holds"), ("holds", "does not hold"), ("does not hold", "does not hold"),
        ("holds", "cannot tell"), ("cannot tell", "cannot tell"),
    ]  # fmt: skip
    assert "holds: 1; within noise: 0; does not hold: 1; cannot tell: 1." in page("Made-up", judged)


def test_a_part_that_cannot_be_told_is_no_reason_where_another_does_not_hold(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5], "adversary": [0.3, 0.3]})
    (judged,) = judge_all(claims(columns=["Test", "Dev"]), found, 50)
    assert (judged.verdict.value, judged.why) == ("does not hold", ())


def test_the_interval_is_written_from_its_low_to_its_high_end(tmp_path: Path) -> None:
    found = sources(tmp_path, {"alone": [0.5, 0.5, 0.5], "adversary": [0.5, 0.7, 0.9]})
    judged = judge_all(claims(), found, 200)
    (line,) = (dict(zip(COLUMNS, line, strict=True)) for line in lines(judged))
    assert float(line["low"]) < float(line["value"]) < float(line["high"])
    assert (line["drawn"], line["n_runs"], line["n_clusters"]) == ("clusters and runs", 3, 12)
    assert f"| {line['low']} to {line['high']} | 3 |" in page("Made-up", judged)


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
