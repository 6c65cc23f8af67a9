"""From an interval to a verdict.

*holds*: the whole 95 % interval is where the claim says; *does not hold*: none of it is; *within noise*: it is on both
sides; *cannot tell*: there is no such interval, or none that takes in how training varies. So *alike* holds only where
the two one-sided tests say so, and not because too little was tested.
"""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

from serflow.claims.ledger import Assertion
from serflow.claims.numbers import Estimate


class Verdict(StrEnum):
    """How a claim comes out."""

    HOLDS = "holds"
    WITHIN_NOISE = "within noise"
    DOES_NOT_HOLD = "does not hold"
    CANNOT_TELL = "cannot tell"


LEAST_CLUSTERS = 5
"""Of n clusters there are (2n - 1 over n) different draws: of four 35, too few for percentiles of 2.5."""
_WORST_FIRST = (Verdict.DOES_NOT_HOLD, Verdict.CANNOT_TELL, Verdict.WITHIN_NOISE)


def bounds(assertion: Assertion) -> tuple[float, float]:
    """Return between which numbers an assertion holds; open ends are infinite."""
    low, high = assertion.target - assertion.margin, assertion.target + assertion.margin
    of = {
        "above": (high, math.inf),
        "below": (-math.inf, low),
        "not above": (-math.inf, high),
        "not below": (low, math.inf),
    }
    return of.get(assertion.relation, (low, high))


def judge(assertion: Assertion, low: float, high: float) -> Verdict:
    """Return the verdict of an interval, in points; NaN for one that cannot be had."""
    if math.isnan(low) or math.isnan(high):
        return Verdict.CANNOT_TELL
    least, most = bounds(assertion)
    strict = assertion.relation in ("above", "below")
    if (least < low and high < most) if strict else (least <= low and high <= most):
        return Verdict.HOLDS
    apart = (high <= least or low >= most) if strict else (high < least or low > most)
    return Verdict.DOES_NOT_HOLD if apart else Verdict.WITHIN_NOISE


def why_not(assertion: Assertion, found: Estimate, foreign: Sequence[str]) -> str | None:
    """Say why an interval cannot bear a verdict; None if it can.

    ``foreign`` is why the data are not the paper's: what a paper printed is not held against other data. Two rows
    whose difference is 0 whatever is drawn answer alike, as where what sets them apart had nothing to train.
    """
    if assertion.value is not None and foreign:
        return "needs the paper's own data: " + "; ".join(foreign)
    if found.n_runs < 2:
        return "needs two runs or more: one does not tell how training varies"
    if found.n_clusters is not None and found.n_clusters < LEAST_CLUSTERS:
        return f"needs {LEAST_CLUSTERS} clusters or more in the test set, which has {found.n_clusters}"
    if len(assertion.rows) == 2 and found.low == found.high == 0:
        return "needs rows that differ: both have the same scores, whatever is drawn"
    return None


def of_claim(parts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of a claim: that of all its parts, the worst first."""
    found = set(parts)
    return next((verdict for verdict in _WORST_FIRST if verdict in found), Verdict.HOLDS)
