"""How far a run is, and how long it still takes: from times of jobs of the same rule, recorded and seen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_NAMED = 3


class _Running(NamedTuple):
    """A job at work: its rule, and when it began (s)."""

    rule: str
    began: float


def in_words(seconds: float) -> str:
    """Return a time as people say it: ``40 s``, ``12 min``, ``2 h 5 min``, ``3 days 4 h``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 600:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    hours = round(seconds / 3600)
    if hours < 48:
        return f"{hours} h"
    return f"{hours // 24:,} days" + (f" {hours % 24} h" if hours % 24 and hours < 240 else "")


class Remaining:
    """What a run still has to do.

    A job is reckoned with the mean time of finished jobs of its rule in this run, or, before there is one, with what
    earlier runs recorded of the rule.

    Parameters
    ----------
    recorded
        Mean time (s) of a job of each rule, from earlier runs.
    jobs
        How many jobs of each rule the run has; Snakemake's ``total`` is passed over.
    slots
        How many jobs run at a time.
    """

    def __init__(self, recorded: Mapping[str, float], jobs: Mapping[str, int], slots: int) -> None:
        self._recorded = recorded
        self._left = Counter({rule: n for rule, n in jobs.items() if rule != "total"})
        self._slots = slots
        self._seen: dict[str, list[float]] = {}
        self._running: dict[int, _Running] = {}
        self._done_s = 0.0

    def begin(self, job: int, rule: str, now: float) -> None:
        """Take in that a job begins, or begins anew after a failure."""
        self._running[job] = _Running(rule, now)

    def end(self, job: int, now: float) -> None:
        """Take in that a job has finished."""
        running = self._running.pop(job, None)
        if running is not None:
            self._seen.setdefault(running.rule, []).append(now - running.began)
            self._left[running.rule] -= 1
            self._done_s += now - running.began

    def fail(self, job: int) -> None:
        """Take in that a job has failed: it still has to be done, by a later attempt or run."""
        self._running.pop(job, None)

    def _mean(self, rule: str) -> float | None:
        seen = self._seen.get(rule)
        return sum(seen) / len(seen) if seen else self._recorded.get(rule)

    def left_s(self, now: float) -> float:
        """Return the time (s) that the jobs of known rules still take, one after the other."""
        whole = sum(n * (self._mean(rule) or 0.0) for rule, n in self._left.items())
        begun = sum(min(now - job.began, self._mean(job.rule) or 0.0) for job in self._running.values())
        return max(0.0, whole - begun)

    def unknown(self) -> list[str]:
        """Return the rules that have jobs left and no time, those with the most jobs first."""
        return [rule for rule, n in self._left.most_common() if n > 0 and self._mean(rule) is None]

    def line(self, now: float) -> str | None:
        """Return how far the run is in one line, or None where nothing is left."""
        left_s = self.left_s(now)
        n_left = sum(n for n in self._left.values() if n > 0)
        if not n_left:
            return None
        # as many jobs at a time as there are slots and jobs
        left = in_words(left_s / min(self._slots, n_left))
        unknown = self.unknown()
        if not unknown:
            share = self._done_s / (self._done_s + left_s) if left_s else 1.0
            return f"{_jobs(n_left)} left, {share:.0%} of the work done: about {left} more"
        known = f"about {left} more, and " if left_s else ""
        return f"{_jobs(n_left)} left: {known}what {_named(unknown, self._left)} take, which no run has recorded yet"


def _jobs(n: int) -> str:
    return f"{n:,} job" + ("" if n == 1 else "s")


def _named(rules: Sequence[str], counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{counts[rule]} {rule}" for rule in rules[:_NAMED])
    more = len(rules) - _NAMED
    return named + (f" and {more} other rules" if more > 0 else "")
