import io
from dataclasses import replace

import pytest
from rich.console import Console

from serflow.planning.costs import Cost
from serflow.planning.dry_run import Planned
from serflow.planning.forecast import as_json, forecast, total
from serflow.planning.told import tell
from serflow.planning.work import Amount, Work

COST = Cost("h", 3, 1.0, 2.0, 100.0, 400.0, 10.0, False, "recorded on a machine")
GPU = COST._replace(gpu=True, peak_mb=None, per_unit_s=1.0)


def planned(rule, gpu=0, mem_mb=1000):
    return Planned(rule, (), (), "", "", "python", mem_mb, gpu, 1)


class Told:
    """Works by the names of rules."""

    def __init__(self, **works):
        self.works = works

    def of(self, rule, command):
        return self.works[rule]


WORKS = Told(
    extract=Work("extract", "mfb", "", "h", Amount(0.5, 0.5), 0.5),
    train=Work("train", "dlc single", "aa", "h", Amount(11.0, 1000.0), 3.0),
    large=Work("train", "dlc single", "bb", "h", Amount(1.0, 1.0), 1.0),
    other=Work("fetch", "", "", "job", Amount(1, 1), 1.0),
    long=Work("extract", "mfb", "", "h", None, why_not="nothing says how long mine is"),
)
COSTS = {("extract", "mfb", ""): COST, ("train", "dlc single", "aa"): COST}


def test_a_rule_is_the_sum_of_its_jobs():
    extract, train = forecast([planned("extract", mem_mb=500), planned("train"), planned("extract")], WORKS, COSTS)
    assert (extract.jobs, extract.asked_mb, extract.peak_mb) == (2, 1000, 400.0)
    assert extract.core_s == pytest.approx((104.0, 104.0))
    assert extract.disk_mb == pytest.approx(10.0)
    assert train.core_s == pytest.approx((1102.0, 100_002.0))
    # what a training leaves does not grow with its epochs
    assert train.disk_mb == pytest.approx(30.0)
    whole = total([extract, train])
    assert whole.core_s == pytest.approx((1206.0, 100_106.0))
    assert (whole.jobs, whole.disk_mb, whole.unknown) == (3, pytest.approx(40.0), {})


def test_what_is_not_known_is_said_and_left_out():
    rules = forecast([planned(name) for name in ("large", "other", "long", "extract")], WORKS, COSTS)
    assert [rule.known for rule in rules] == [0, 0, 0, 1]
    assert [next(iter(rule.unknown), None) for rule in rules] == [
        "no run recorded train dlc single of this size, but of others",
        "no run recorded fetch",
        "nothing says how long mine is",
        None,
    ]
    assert total(rules).core_s == pytest.approx((52.0, 52.0))
    assert forecast([replace(planned("other"), shell="")], WORKS, COSTS) == []


def test_a_gpus_time_is_told_apart():
    costs = {("train", "dlc single", "aa"): GPU, ("extract", "mfb", ""): COST}
    train, extract = forecast([planned("train", gpu=1), planned("extract", gpu=1)], WORKS, costs)
    assert train.gpu_s == pytest.approx((13.0, 1002.0))
    assert train.core_s == (0, 0)
    # recorded on a CPU: it stays the time of a core, and is said
    assert (extract.on_cpu, extract.gpu_s) == (1, (0, 0))
    (on_cpu,) = forecast([planned("train")], WORKS, costs)
    assert on_cpu.unknown == {"no run recorded train dlc single without a GPU": 1}


def told(rules):
    console = Console(file=io.StringIO(), width=80)
    tell(rules, "results/table1.csv", ["iemocap 12 h, as published"], console)
    return console.file.getvalue()


def test_people_are_told_all_of_it():
    shown = told(forecast([planned(name) for name in ("extract", "train", "other")], WORKS, COSTS))
    for words in (
        "extract",
        "18 min to 28 h",
        "no run recorded fetch",
        "1 of 3 jobs",
        "recorded on a machine",
        "patience",
        "In all 0.321 to 27.8 core-hours and 0 GPU-hours",
        "Corpora: iemocap 12 h, as published.",
    ):
        assert words in shown
    assert "GPU time" not in shown
    assert told([]) == "nothing to do: results/table1.csv is up to date\n"


def test_programs_are_told_hours():
    found = as_json(forecast([planned("train")], WORKS, COSTS))
    assert found["total"]["core_h"] == pytest.approx([1102 / 3600, 100_002 / 3600])
    assert found["rules"]["train"]["recorded_mb"] == 400.0
