"""How many operations a step of the DLC paper's networks starts: their number bounds small fits, and all on a GPU."""

import importlib.util
import sys

import pytest
import torch

from serflow.studies.dlc.abs_lstm import _Steps
from serflow.studies.dlc.catalog import load_method, method_info, method_names
from serflow.studies.dlc.data import Batch, Counts
from serflow.studies.dlc.fused import Singles
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import ModelOptions, Options
from serflow.training.optimizers import Adam
from serflow.training.seeds import Stream

METHODS = [name for name in method_names() if method_info(name).network]
AT_MOST = {"single": 150, "moe_dlc": 210, "dann": 200, "maddog": 190, "dsn_dlc": 450, "hffn_single": 600}

SIZES, SMALL = Sizes(6, 4, (4, 4, 4), text_dim=5), Options(model=ModelOptions(maps=8, kernel=5, hidden=8))


@pytest.fixture(scope="module")
def counted(repository):
    spec = importlib.util.spec_from_file_location("_kernels", repository / "benchmarks" / "_kernels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return {method: count(method, module.Kernels()) for method in METHODS}


def make_batch():
    places = torch.arange(12)
    return Batch(
        *torch.randn(2, 12, 32, 6), torch.full((12,), 32), torch.eye(4)[places % 4], places % 3,
        torch.randn(12, 8, 5), torch.full((12,), 8), places // 4, Counts((4, 4, 4), (3, 4)),
    )  # fmt: skip


def count(method, kernels):
    """Count a step; sizes do not matter."""
    torch.manual_seed(0)
    network = load_method(method).build(SIZES, SMALL)
    initialise(network)
    batch = make_batch()
    optimizer = Adam(network.parameters_of("all"))
    with kernels:
        network.losses(batch, torch.ones(4)).total.backward()
        optimizer.step()
    return kernels


@pytest.mark.parametrize("method", AT_MOST)
def test_a_step_starts_few_operations(counted, method):
    assert counted[method].n <= AT_MOST[method]


def test_a_block_of_the_attentive_lstm_starts_few_operations_where_nothing_is_compiled(counted):
    """As on a GPU, forwards and backwards; what is of all blocks at once does not count."""

    def started(n_blocks):
        inputs = [torch.randn(4, n_blocks, 22), torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 12)]
        kernels = type(counted["single"])()
        with kernels:
            _Steps.apply(*(values.requires_grad_() for values in inputs)).sum().backward()
        return kernels.n

    assert (started(20) - started(10)) / 10 <= 28


def test_a_step_of_several_fits_starts_little_more_than_one_of_a_single_fit(counted):
    torch.manual_seed(0)
    networks = [load_method("single").build(SIZES, SMALL) for _ in range(5)]
    singles = Singles(networks, [torch.ones(4)] * 5, [Stream(torch.device("cpu"))] * 5)
    optimizer = Adam([parameter for network in networks for parameter in network.parameters()])
    kernels = type(counted["single"])()
    with kernels:
        torch.stack([outcome.total for outcome in singles.outcomes([make_batch()] * 5)]).sum().backward()
        singles.stack.share_gradients()
        optimizer.step()
    # five by themselves: 705
    assert kernels.n <= 220
    assert kernels.reads == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_step_asks_the_device_for_no_value(counted, method):
    assert counted[method].reads == 0


def test_the_count_sees_operations_and_reads(counted):
    kernels = type(counted["single"])()
    values = torch.ones(3)
    with kernels:
        total = (values.view(3, 1).expand(3, 2) * 2).sum()
        assert total.item() == 12
    assert dict(kernels.started) == {"mul": 1, "sum": 1}
    assert kernels.reads == 1
    # three floats read and six written, then six read and one written
    assert kernels.moved == 4 * (3 + 6 + 6 + 1)
