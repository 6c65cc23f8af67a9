"""No step asks a device for a value: each method's runs where there are none to ask for, and nothing is sent there."""

import importlib.util
import sys
from contextlib import nullcontext

import pytest
import torch
from torch.overrides import TorchFunctionMode

from serflow.backbones import ge2e
from serflow.backbones._wav2vec_network import Geometry, Wav2Vec
from serflow.plugins import load_plugin
from serflow.studies.dlc import catalog as dlc
from serflow.studies.dlc.data import Batch as DlcBatch
from serflow.studies.dlc.data import Counts
from serflow.studies.dlc.fused import Singles
from serflow.studies.dlc.models import Sizes
from serflow.studies.dlc.options import ModelOptions
from serflow.studies.dlc.options import Options as DlcOptions
from serflow.studies.invariance import catalog as invariance
from serflow.studies.invariance.losses import Batch as InvarianceBatch
from serflow.studies.invariance.network import SpeakerNetwork
from serflow.studies.invariance.options import Options as InvarianceOptions
from serflow.studies.multigating import catalog as multigating
from serflow.studies.multigating.batch import Batch as MultigatingBatch
from serflow.studies.multigating.batch import Partials, Sequences
from serflow.studies.multigating.network import losses as multigating_losses
from serflow.studies.multigating.options import Options as MultigatingOptions
from serflow.studies.temporal.catalog import SYSTEMS as TEMPORAL
from serflow.studies.temporal.data import Batch as TemporalBatch
from serflow.studies.temporal.network import Network as TemporalNetwork
from serflow.studies.temporal.network import Wav2VecFrontEnd
from serflow.studies.temporal.options import Options as TemporalOptions
from serflow.studies.temporal.segment_net import SegmentNet
from serflow.studies.temporal.strfnet import StrfNet
from serflow.training.graphs import mapped
from serflow.training.optimizers import OPTIMIZERS, Adam, NesterovSgd
from serflow.training.seeds import Stream

META = torch.device("meta")
"""A device with shapes and no values: what asks for one fails, as does what has a shape that depends on values."""
MAKES = (torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor)


class NothingIsSent(TorchFunctionMode):
    """Refuse to make tensors on a device from values of the host, for each of which a GPU waits."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        default = args[0].device if function is torch.Tensor.new_tensor else "cpu"
        if function in MAKES and (device := torch.device(kwargs.get("device") or default)).type != "cpu":
            raise AssertionError(f"{function.__name__} sends {args} to {device}")
        return function(*args, **kwargs)


@pytest.fixture(autouse=True)
def autocast_of_any_device(monkeypatch):
    """Let what computes in full precision on any device do so on one that has no other."""
    of_devices = torch.autocast
    monkeypatch.setattr(
        torch,
        "autocast",
        lambda kind, *how, **more: nullcontext() if kind == "meta" else of_devices(kind, *how, **more),
    )


@pytest.fixture(scope="module")
def kernels(repository):
    spec = importlib.util.spec_from_file_location("_kernels", repository / "benchmarks" / "_kernels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Kernels


def to_meta(batch):
    return mapped(batch, lambda values: values.to(META))


def take(kernels, network, losses, optimizers):
    """Take a step of each optimiser where there are no values, and return what the host had a part in."""
    network.to(META).train()
    counted = kernels()
    for make in optimizers:
        optimizer = make([parameter for parameter in network.parameters() if parameter.requires_grad])
        with NothingIsSent(), counted:
            losses().total.backward()
            optimizer.step()
            optimizer.zero_grad()
    return of_host(counted)


NONE = (0, 0)


def of_host(counted):
    """Return how many values the host asked for and sent; that there were operations is held here."""
    assert counted.n > 0
    return counted.reads, counted.sent


def dlc_step(method, stage, hffn="end_to_end"):
    network = dlc.load_method(method).build(
        Sizes(6, 4, (4, 4, 4), text_dim=5), DlcOptions(model=ModelOptions(maps=8, kernel=5, hidden=8), hffn=hffn)
    )
    places = torch.arange(12)
    batch = DlcBatch(
        *torch.randn(2, 12, 32, 6), torch.full((12,), 30), torch.eye(4)[places % 4], places % 3,
        torch.randn(12, 8, 5), torch.full((12,), 8), places // 4, Counts((4, 4, 4), (3, 4)),
    )  # fmt: skip
    moved, weights = to_meta(batch), torch.ones(4, device=META)
    network.start_epoch(3, stage)
    return network, lambda: network.losses(moved, weights, stage)


STAGES = [
    *((name, "all", "end_to_end") for name in dlc.method_names() if dlc.method_info(name).network),
    *(("hffn_dsn_dlc", stage, "staged") for stage in ("acoustic", "lexical", "fusion")),
]


@pytest.mark.parametrize(("method", "stage", "hffn"), STAGES)
def test_of_the_dlc_paper(kernels, method, stage, hffn):
    optimizers = OPTIMIZERS.values() if method == "single" else [Adam]
    assert take(kernels, *dlc_step(method, stage, hffn), optimizers) == NONE


@pytest.mark.parametrize("method", [name for name in dlc.method_names() if dlc.method_info(name).fuses])
def test_of_fits_at_once(kernels, method):
    """Of members whose batches have other sizes, with all that their networks may have."""
    options = DlcOptions(
        model=ModelOptions(maps=8, kernel=5, hidden=8, dropout=0.3, instance_norm=True, readout="mean_std")
    )
    networks = [dlc.load_method(method).build(Sizes(6, 4, (4, 4, 4)), options).to(META).train() for _ in range(3)]
    batches = [
        to_meta(DlcBatch(*torch.randn(2, n, 16 * n, 6), torch.full((n,), 16 * n), torch.eye(4)[:n], torch.arange(n)))
        for n in (2, 3, 4)
    ]
    singles = Singles(networks, [torch.ones(4, device=META)] * 3, [Stream(META)] * 3)
    optimizer = Adam([parameter for network in networks for parameter in network.parameters()])
    with NothingIsSent(), kernels() as counted:
        torch.stack([outcome.total for outcome in singles.outcomes(batches)]).sum().backward()
        singles.stack.share_gradients()
        optimizer.step()
    assert of_host(counted) == NONE


def test_a_critic_of_maddog(kernels):
    network, _ = dlc_step("maddog", "all")
    places = torch.arange(6)
    batch = to_meta(DlcBatch(*torch.randn(2, 6, 32, 6), torch.full((6,), 32), torch.eye(4)[places % 4], places % 3))
    network.to(META)
    with NothingIsSent(), kernels() as counted:
        network.acoustic.critic_loss(batch).backward()
    assert of_host(counted) == NONE


@pytest.mark.parametrize("system", [name for name in invariance.system_names() if invariance.system_info(name).network])
def test_of_the_invariance_paper(kernels, system):
    options, module = InvarianceOptions(), invariance.load_system(system)
    network = SpeakerNetwork(options.model, 6, 3, 2 if invariance.system_info(system).names_speakers else None)
    lengths = torch.tensor([26, 24, 21, 27])
    batch = to_meta(
        InvarianceBatch(torch.randn(4, 32, 6), lengths, torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 1, 0]), 98)
    )
    sgd = [lambda own: NesterovSgd(own, 1e-3, 0.9)]
    assert take(kernels, network, lambda: module.losses(network, batch, options), sgd) == NONE


def wav2vec_front_end():
    layers = [(4, kernel, stride) for kernel, stride in ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2))]
    return Wav2VecFrontEnd(Wav2Vec(Geometry(layers, [(4, 2, 1), (4, 3, 1)])).fine_tune("all"), None)


@pytest.mark.parametrize("system", [name for name, info in TEMPORAL.items() if info.network != "svc"])
def test_of_the_temporal_paper(kernels, system):
    info = TEMPORAL[system]
    options = TemporalOptions.model_validate({"segment_net": {"segments": 2, "lstm": 4, "lstm_layers": 2, "maps": 4}})
    method = load_plugin("serflow.studies.temporal.methods", info.network, "network", "the temporal study")
    sizes = (16_000, 9_000, 16_000, 12_345)
    if info.reads == "log_mel":
        network = method.build(info, options, 3, None, torch.device("cpu"))
    else:
        front_end = wav2vec_front_end()
        network = TemporalNetwork(
            front_end,
            SegmentNet(front_end.dim, options.segment_net, 3)
            if info.network == "segment_net"
            else StrfNet(info.streams, options.strfnet, front_end.dim, 10.0, 3, 3),
        )
    pulses = torch.randn(4, 16_000) if info.reads_pulses() else None
    hidden = torch.zeros(4, 81, 30, dtype=torch.bool) if info.reads == "log_mel" else None
    batch = TemporalBatch(
        torch.randn(4, 16_000), pulses, torch.tensor(sizes), torch.full((4,), 0.1), hidden, torch.eye(3)[[0, 1, 2, 0]],
        sizes,
    )  # fmt: skip
    moved, weights = to_meta(batch), torch.ones(3, device=META)
    assert take(kernels, network, lambda: method.losses(network, moved, weights), [Adam]) == NONE


@pytest.mark.parametrize("system", [name for name, info in multigating.SYSTEMS.items() if info.network])
def test_of_the_multilingual_paper(kernels, system, tmp_path):
    languages = {"german": {"corpus": "emodb", "units": 6}}
    if multigating.SYSTEMS[system].trained == "all":
        languages["english"] = {"corpus": "iemocap", "units": 5}
    sizes = {
        "encoder": {"maps": 3, "lstm": 4, "mfcc_maps": 2, "mfcc_lstm": 3},
        "sharing": {"width": 8, "base_units": 6},
    }
    options = MultigatingOptions.model_validate({"languages": languages, **sizes})
    classes = {"english": ("sad", "anger"), "german": ("anger", "bored", "sad")}
    dims = {"allosaurus": 6, "wav2vec": 5, "mfcc": 4, "byol": 7}
    network = multigating.load_method(system).build(
        dims, {name: classes[name] for name in languages}, options, ge2e.write_stand_in(tmp_path, seed=0),
        torch.device("cpu"),
    )  # fmt: skip
    lengths = torch.tensor([9, 4, 1, 7])
    sequences = {name: Sequences(torch.randn(4, 16, dims[name]), lengths) for name in ("allosaurus", "wav2vec", "mfcc")}
    batch = to_meta(
        MultigatingBatch(
            "german", sequences, Partials(torch.rand(5, 6, 40), torch.tensor([0, 0, 1, 2, 3])), torch.randn(4, 7),
            torch.eye(3)[[0, 1, 0, 2]],
        )
    )  # fmt: skip
    assert take(kernels, network, lambda: multigating_losses(network, batch, options), [Adam]) == NONE


@pytest.mark.parametrize(
    "ask",
    [
        lambda values: values.sum().item(),
        lambda values: values.tolist(),
        lambda values: values.nonzero(),
        lambda values: values[values > 0],
        lambda values: torch.repeat_interleave(values, values.long()),
        lambda values: torch.unique(values),
        lambda values: values.cpu(),
        lambda values: int(values.max()),
        lambda values: bool(values.any()),
        lambda values: torch.bincount(values.long()),
        lambda values: torch.tensor([1.0], device=values.device),
        lambda values: torch.asarray([1.0], device=values.device),
        lambda values: values.new_tensor([1.0]),
    ],
)
def test_what_asks_or_sends_is_refused(ask):
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)), NothingIsSent():
        ask(torch.ones(3, device=META))


@pytest.mark.parametrize(
    ("ask", "reads", "sent"),
    [
        (lambda values: torch.ones(3).to(META), 0, 1),
        (lambda values: torch.tensor(1.0).to(META), 0, 1),
        (lambda values: values.copy_(torch.ones(3)), 0, 1),
        (lambda values: values[torch.tensor([0, 2])], 0, 1),
        (lambda values: values.index_select(0, torch.tensor([0, 2])), 0, 1),
        (lambda values: values.index_put_((values > 0,), values), 1, 0),
        (lambda values: values.__setitem__(values > 0, values.sum()), 1, 0),
        (lambda values: torch.linalg.inv(values.expand(3, 3)), 1, 0),
        # a number comes with the operation
        (lambda values: values + torch.tensor(1.0), 0, 0),
        (lambda values: values.masked_fill(values > 0, 1.0), 0, 0),
        (lambda values: values[values.long()], 0, 0),
    ],
)
def test_what_the_host_has_a_part_in_is_counted(kernels, ask, reads, sent):
    with kernels() as counted:
        ask(torch.ones(3, device=META))
    assert (counted.reads, counted.sent) == (reads, sent)
