"""Verdicts follow from where an interval lies."""

import math

import numpy as np
import pytest

from serflow.claims.ledger import Assertion
from serflow.claims.numbers import BOTH, RUNS_ALONE, Estimate, student
from serflow.claims.verdicts import Verdict, judge, of_claim, why_not
from serflow.settings.base import checked

HOLDS, NOISE, NOT, CANNOT = (Verdict(said) for said in ("holds", "within noise", "does not hold", "cannot tell"))


def assertion(relation: str, margin: float = 0.0, value: float | None = None) -> Assertion:
    said = {"table": "t", "rows": ["A", "B"], "columns": ["c"], "is": relation, "margin": margin}
    return checked(Assertion, said if value is None else {**said, "value": value}, "a")


@pytest.mark.parametrize(
    ("relation", "margin", "value", "verdicts"),
    [
        # intervals: 1..3, -1..1, -3..-1, 0..2
        ("above", 0, None, (HOLDS, NOISE, NOT, NOISE)),
        ("above", 2, None, (NOISE, NOT, NOT, NOT)),
        ("below", 0, None, (NOT, NOISE, HOLDS, NOT)),
        ("below", 2, None, (NOT, NOT, NOISE, NOT)),
        ("not above", 0, None, (NOT, NOISE, HOLDS, NOISE)),
        ("not below", 0, None, (HOLDS, NOISE, NOT, HOLDS)),
        ("not above", 3, None, (HOLDS, HOLDS, HOLDS, HOLDS)),
        ("not below", 1, None, (HOLDS, HOLDS, NOISE, HOLDS)),
        ("alike", 1, None, (NOISE, HOLDS, NOISE, NOISE)),
        ("alike", 0.5, None, (NOT, NOISE, NOT, NOISE)),
        ("about", 1, 2, (HOLDS, NOISE, NOT, NOISE)),
    ],
)
def test_a_verdict_is_that_of_the_whole_interval(relation, margin, value, verdicts):
    intervals = ((1.0, 3.0), (-1.0, 1.0), (-3.0, -1.0), (0.0, 2.0))
    assert tuple(judge(assertion(relation, margin, value), *found) for found in intervals) == verdicts


@pytest.mark.parametrize(
    ("relation", "margin", "found", "verdict"),
    [
        # no difference at all is neither above nor below 0, and it is alike
        ("above", 0, (0, 2), NOISE),
        ("above", 0, (-2, 0), NOT),
        ("below", 0, (-2, 0), NOISE),
        ("below", 0, (0, 2), NOT),
        ("not above", 0, (-2, 0), HOLDS),
        ("not above", 0, (0, 2), NOISE),
        ("not below", 0, (0, 2), HOLDS),
        ("not below", 0, (-2, 0), NOISE),
        ("alike", 1, (-1, 1), HOLDS),
        ("alike", 1, (1, 2), NOISE),
        ("alike", 1, (-2, -1), NOISE),
        ("above", 0, (0, 0), NOT),
        ("below", 0, (0, 0), NOT),
        ("alike", 1, (0, 0), HOLDS),
    ],
)
def test_a_bound_itself_is_on_neither_side(relation, margin, found, verdict):
    assert judge(assertion(relation, margin), *map(float, found)) is verdict


@pytest.mark.parametrize("found", [(math.nan, math.nan), (1.0, math.nan), (math.nan, 1.0)])
def test_nothing_is_told_by_no_interval(found):
    assert judge(assertion("above"), *found) is CANNOT


def test_a_claim_is_as_good_as_its_worst_part():
    assert of_claim([HOLDS, HOLDS]) is HOLDS
    assert of_claim([HOLDS, NOISE]) is NOISE
    assert of_claim([HOLDS, NOISE, CANNOT]) is CANNOT
    assert of_claim([CANNOT, HOLDS, NOT]) is NOT


def test_one_run_or_few_clusters_bear_no_verdict():
    assert why_not(assertion("above"), Estimate(1, 0.5, 2, 3, 9, BOTH), ["synthetic stand-in"]) is None
    assert why_not(assertion("above"), Estimate(1, 0.5, 2, 3, None, RUNS_ALONE), []) is None
    assert "two runs" in why_not(assertion("above"), Estimate(1, 0.5, 2, 1, 9, BOTH), [])
    assert "5 clusters or more in the test set, which has 1" in why_not(
        assertion("above"), Estimate(1, math.nan, math.nan, 3, 1, BOTH), []
    )
    assert why_not(assertion("above"), Estimate(1, 0.5, 2, 3, 4, BOTH), []) is not None
    assert why_not(assertion("above"), Estimate(1, 0.5, 2, 3, 5, BOTH), []) is None


@pytest.mark.parametrize("relation", ["above", "below", "not above", "not below", "alike"])
def test_networks_that_answer_alike_tell_nothing(relation):
    """Neither that they are alike: what sets them apart may have had nothing to train."""
    asserted = assertion(relation, 1.0)
    assert "rows that differ" in why_not(asserted, Estimate(0.0, 0.0, 0.0, 3, 9, BOTH), [])
    assert "rows that differ" in why_not(asserted, Estimate(0.0, 0.0, 0.0, 3, None, RUNS_ALONE), [])
    assert why_not(asserted, Estimate(0.0, -0.1, 0.1, 3, 9, BOTH), []) is None
    assert why_not(asserted, Estimate(0.1, 0.0, 0.2, 3, 9, BOTH), []) is None


def test_a_row_alone_may_be_the_same_in_two_columns():
    said = {"table": "t", "rows": ["A"], "columns": [["Val", "Test"]], "is": "alike", "margin": 1.0}
    assert why_not(checked(Assertion, said, "a"), Estimate(0.0, 0.0, 0.0, 3, 9, BOTH), []) is None


def test_what_a_paper_printed_is_held_against_its_own_data_alone():
    found = Estimate(1, 0.5, 2, 3, 9, BOTH)
    assert why_not(assertion("about", 1, 2), found, []) is None
    said = why_not(assertion("about", 1, 2), found, ["partial corpus"])
    assert said == "needs the paper's own data: partial corpus"


def test_the_interval_over_runs_is_students():
    """Of three runs t is 4.303; half the width is t s / sqrt(3)."""
    low, high = student(np.array([1.0, 2.0, 3.0]))
    assert [low, high] == pytest.approx([2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)], abs=1e-5)
    assert all(math.isnan(end) for end in student(np.array([2.0])))


def test_two_runs_that_differ_tell_little():
    """Of two runs t is 12.706, and the standard error half of what they differ by."""
    assert student(np.array([1.0, 3.0])) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)
