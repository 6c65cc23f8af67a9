"""What a plan is going to cost: jobs by rule, core-hours and GPU-hours, peak memory and disk.

Every number is recorded costs times known work. What no run recorded, or nothing tells the amount of, is named, and
left out of the sums.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serflow.planning.costs import Cost, Key
from serflow.planning.dry_run import Planned
from serflow.planning.work import NOTHING, Amount, Work, Works

_S_PER_H = 3600.0


@dataclass
class OfRule:
    """The forecast of all jobs of a rule.

    Times are core-seconds, or GPU-seconds of jobs that ask for a GPU and were recorded on one, at least and at most.
    ``asked_mb`` is the memory that the rule asks for, ``peak_mb`` what was recorded; ``disk_mb`` the size of outputs.
    ``unknown`` says of jobs without a forecast what is missing, and counts them; ``on_cpu`` counts those that ask for a
    GPU and were recorded without; ``sources`` say where the costs are from.
    """

    rule: str
    jobs: int = 0
    core_s: Amount = NOTHING
    gpu_s: Amount = NOTHING
    asked_mb: int = 0
    peak_mb: float | None = None
    disk_mb: float = 0.0
    on_cpu: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)

    @property
    def known(self) -> int:
        """How many jobs have a forecast."""
        return self.jobs - sum(self.unknown.values())


def _plus(one: Amount, other: Amount) -> Amount:
    return Amount(one.least + other.least, one.most + other.most)


def forecast(jobs: Iterable[Planned], works: Works, costs: Mapping[Key, Cost]) -> list[OfRule]:
    """Return the forecast of each rule, in the order in which Snakemake tells the jobs.

    Parameters
    ----------
    jobs
        What would run.
    works
        How much they do.
    costs
        What that cost.
    """
    found: dict[str, OfRule] = {}
    for job in jobs:
        if not job.shell:
            # it only names what others make
            continue
        rule = found.setdefault(job.rule, OfRule(job.rule))
        rule.jobs += 1
        rule.asked_mb = max(rule.asked_mb, job.mem_mb)
        work = works.of(job.rule, job.command)
        cost = costs.get(work.key)
        if cost is None or work.amount is None or (cost.gpu and not job.gpu):
            why = work.why_not if work.amount is None else _unrecorded(work, costs)
            rule.unknown[why] = rule.unknown.get(why, 0) + 1
            continue
        seconds = Amount(cost.seconds(work.amount.least), cost.seconds(work.amount.most))
        if cost.gpu:
            rule.gpu_s = _plus(rule.gpu_s, seconds)
        else:
            rule.core_s = _plus(rule.core_s, seconds)
            rule.on_cpu += job.gpu > 0
        rule.sources.add(cost.source)
        if cost.peak_mb is not None:
            rule.peak_mb = max(cost.peak_mb, rule.peak_mb or 0.0)
        rule.disk_mb += cost.disk_mb_per_made * work.made
    return list(found.values())


def _unrecorded(work: Work, costs: Mapping[Key, Cost]) -> str:
    """Say what no run recorded: a kind of work, or a size of it."""
    what = " ".join(filter(None, (work.stage, work.kind)))
    if work.key in costs:
        return f"no run recorded {what} without a GPU"
    sizes = sum(key[:2] == work.key[:2] for key in costs)
    return f"no run recorded {what}" + (" of this size, but of others" if sizes and work.size else "")


def total(rules: Sequence[OfRule]) -> OfRule:
    """Return the forecast of all rules together; memory is that of the largest job."""
    whole = OfRule("total")
    for rule in rules:
        whole.jobs += rule.jobs
        whole.core_s = _plus(whole.core_s, rule.core_s)
        whole.gpu_s = _plus(whole.gpu_s, rule.gpu_s)
        whole.asked_mb = max(whole.asked_mb, rule.asked_mb)
        if rule.peak_mb is not None:
            whole.peak_mb = max(rule.peak_mb, whole.peak_mb or 0.0)
        whole.disk_mb += rule.disk_mb
        whole.on_cpu += rule.on_cpu
        whole.sources |= rule.sources
        for why, n in rule.unknown.items():
            whole.unknown[why] = whole.unknown.get(why, 0) + n
    return whole


def as_json(rules: Sequence[OfRule]) -> dict[str, Any]:
    """Return a forecast for programs: times in hours of a core or GPU, at least and at most; memory and disk in MB."""

    def of(rule: OfRule) -> dict[str, Any]:
        return {
            "jobs": rule.jobs,
            "core_h": [seconds / _S_PER_H for seconds in rule.core_s],
            "gpu_h": [seconds / _S_PER_H for seconds in rule.gpu_s],
            "asks_mb": rule.asked_mb,
            "recorded_mb": rule.peak_mb,
            "disk_mb": rule.disk_mb,
            "unknown": rule.unknown,
        }

    return {"rules": {rule.rule: of(rule) for rule in rules}, "total": of(total(rules))}
