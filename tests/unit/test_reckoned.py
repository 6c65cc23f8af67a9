"""What is reckoned at the papers' size: steps, lines through two counts, the longest of three times."""

import importlib.util
import sys

import pytest

from serflow.planning.work import Amount


@pytest.fixture(scope="module")
def reckoned(repository):
    spec = importlib.util.spec_from_file_location("_reckoned", repository / "benchmarks" / "_reckoned.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_step_takes_as_long_as_what_takes_longest(reckoned):
    device = reckoned.Device(reckoned.Range(1e-6, 2e-6), reckoned.Range(4e12, 1e12), reckoned.Range(2e12, 1e12))
    assert device.step_s(1000, 1e6, 1e6) == pytest.approx((1e-3, 2e-3))
    assert device.step_s(1, 8e12, 1e6) == pytest.approx((2, 8))
    assert device.step_s(1, 1e6, 6e12) == pytest.approx((3, 6))


def test_what_is_assumed_is_worse_at_worst_and_a_graph_only_starts_operations_faster(reckoned):
    for device in (reckoned.EAGER, reckoned.GRAPH):
        assert device.start_s.best < device.start_s.worst
        assert device.flops.best > device.flops.worst
        assert device.bandwidth.best > device.bandwidth.worst
    assert reckoned.GRAPH[1:] == reckoned.EAGER[1:]
    assert reckoned.GRAPH.start_s.worst < reckoned.EAGER.start_s.best


def test_longer_items_cost_flops_and_bytes_and_no_operations(reckoned):
    counted = reckoned.Counted((100, 2), (1000, 30), (500, 7))
    assert counted.of(8, 1) == (116, 1240, 556)
    assert counted.of(8, 3) == (116, 1720, 668)


def test_fits_steps_and_lengths_add_up(reckoned):
    planned = reckoned.Planned()
    planned.add(5, Amount(100, 400), 10, 2.0)
    planned.add(3, Amount(200, 200), 20, 5.0)
    assert planned.fits == 8
    assert planned.items == (300, 600)
    assert planned.steps == (20, 50)
    # by what is trained at most
    assert planned.mean_s == pytest.approx((400 * 2 + 200 * 5) / 600)
    planned.add(1, Amount(1, 1), 1, None)
    assert planned.mean_s is None
