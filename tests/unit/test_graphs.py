"""Bookkeeping of captured steps, with a recorder that runs a step again on the tensors that it was captured with."""

import weakref
from contextlib import contextmanager
from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import nn

from serflow.errors import TrainingError
from serflow.studies.dlc.catalog import load_method
from serflow.studies.dlc.data import Batch as DlcBatch
from serflow.studies.dlc.data import Counts
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import ModelOptions, Options
from serflow.training import fit as fitting
from serflow.training import graphs
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.graphs import (
    FROM_SIGHT,
    WARM_UP,
    CudaRecorder,
    GraphedSteps,
    mapped,
    shape_of,
    tensors_of,
    wanted,
)
from serflow.training.optimizers import Adam
from serflow.training.seeds import numpy_generator, seed_torch

CPU = torch.device("cpu")


class Recorder:
    """Stands for `CudaRecorder`: a replay runs the step again and writes into the tensors of its capture.

    What the run that finds out what these are does to buffers is left, as warming up does.
    """

    def __init__(self, network):
        self.network = network
        self.captured = 0

    def __call__(self, step):
        self.captured += 1
        with torch.random.fork_rng(devices=[]):
            found = step()
        left = self.left(found)

        def replay():
            with torch.no_grad():
                for kept, values in zip(left, self.run(step), strict=True):
                    kept.copy_(values)

        # a GPU's memory holds nothing before the first replay
        with torch.no_grad():
            for kept in left:
                kept.fill_(torch.nan)
        return found, replay

    def run(self, step):
        with torch.enable_grad():
            return self.left(step())

    def left(self, found):
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        return [*tensors_of(mapped(found, torch.Tensor.detach)), *gradients]


class Batch(NamedTuple):
    inputs: torch.Tensor
    targets: torch.Tensor
    name: str


def batches(period):
    """Of three lengths, two of which come again; some have a part of the network to themselves."""
    generator = torch.Generator().manual_seed(period)
    for place, n in enumerate([8, 5, 8, 8, 5, 3 + period, 8, 5]):
        inputs = torch.randn(n, 4, generator=generator)
        yield Batch(inputs, (inputs.sum(1) > 0).long(), "ab"[place % 2])


class Toy:
    """With dropout, running statistics, a layer for some batches alone, and a factor that each period sets."""

    def __init__(self):
        seed_torch("toy")
        self.network = nn.ModuleDict(
            {
                "first": nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5)),
                "a": nn.Linear(6, 2),
                "b": nn.Linear(6, 2),
            }
        )
        self.network.register_buffer("factor", torch.tensor(1.0))
        self.seen = []

    def start(self, period):
        self.network.factor.fill_(1.0 + period)
        self.seen.append(0.0)
        return {}

    def batches(self, period):
        return batches(period)

    def losses(self, batch):
        logits = self.network[batch.name](self.network["first"](batch.inputs))
        task = nn.functional.cross_entropy(logits, batch.targets)
        return Losses(task * self.network.factor, {"task_loss": task}, len(batch.inputs), logits)

    def take_in(self, batch, losses):
        self.seen[-1] += float(losses.logits.detach().sum()) + float(batch.inputs.sum())

    def validate(self):
        (batch, *_) = batches(99)
        logits = self.network["a"](self.network["first"](batch.inputs))
        return {"val_loss": float(nn.functional.cross_entropy(logits, batch.targets))}


def fitted(folder, graphs_on=None, **schedule):
    toy = Toy()
    found = fit(
        toy, {"main": Adam(toy.network.parameters(), 0.05)},
        Schedule(4, select=None, rate=lambda update, history: 1 / (1 + update), **schedule),
        name="toy", seed=0, checkpoint=Checkpoint(folder / "fit.pt", "key"), after=toy.take_in, graphs_on=graphs_on,
    )  # fmt: skip
    return found, toy


@pytest.fixture
def recorders(monkeypatch):
    """Let fits capture with `Recorder`; return those that they made."""
    made = []

    class Kept(GraphedSteps):
        def __init__(self, step, network, device, record):
            super().__init__(step, network, device, Recorder(network))
            made.append(self)

    monkeypatch.setattr(fitting, "CudaRecorder", lambda device: None)
    monkeypatch.setattr(fitting, "GraphedSteps", Kept)
    return made


def test_a_fit_of_replays_is_the_fit_of_its_steps_to_the_bit(tmp_path, recorders, caplog):
    caplog.set_level("INFO")
    plain, one = fitted(tmp_path / "plain")
    graphed, other = fitted(tmp_path / "graphed", CPU)
    assert graphed.history == plain.history
    assert all(torch.equal(graphed.last[name], values) for name, values in plain.last.items())
    assert other.seen == one.seen
    assert len({row["loss"] for row in plain.history}) == 4
    (steps,) = recorders
    # lengths 8 and 5 with either layer; each runs once before it is captured, and the other lengths come once
    assert steps.record.captured == 4
    assert "toy: 25 of 32 steps were replays of 4 graphs" in caplog.text


def test_a_killed_fit_goes_on_with_graphs_to_the_same_bits(tmp_path, recorders, monkeypatch):
    whole, _ = fitted(tmp_path / "whole", CPU)
    start = Toy.start
    monkeypatch.setattr(Toy, "start", lambda self, period: {}[period] if period == 2 else start(self, period))
    with pytest.raises(KeyError):
        fitted(tmp_path / "killed", CPU)
    monkeypatch.setattr(Toy, "start", start)
    again, _ = fitted(tmp_path / "killed", CPU)
    assert again.history == whole.history
    assert all(torch.equal(again.last[name], values) for name, values in whole.last.items())


class Token:
    """What a `Witness` holds."""


class Witness(torch.autograd.Function):
    """Identity whose node in the graph of a step holds something, by which it is seen how long that graph lives."""

    alive: ClassVar = weakref.WeakSet()

    @staticmethod
    def forward(ctx, values):
        ctx.token = Token()
        Witness.alive.add(ctx.token)
        return values.view_as(values)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_no_graph_of_an_earlier_step_lives_when_a_step_is_captured(tmp_path, recorders, monkeypatch):
    """Else parameters gather their gradients on the stream of that step, which CUDA refuses (PyTorch's #180090)."""
    losses, record, seen = Toy.losses, Recorder.__call__, []

    def witnessed(self, batch):
        found = losses(self, batch)
        return found._replace(total=Witness.apply(found.total))

    def recorded(self, step):
        seen.append(len(Witness.alive))
        return record(self, step)

    monkeypatch.setattr(Toy, "losses", witnessed)
    monkeypatch.setattr(Recorder, "__call__", recorded)
    held = witnessed(Toy(), next(batches(0)))
    assert len(Witness.alive) == 1
    del held
    fitted(tmp_path, CPU)
    assert seen == [0, 0, 0, 0]


def test_updates_of_several_batches_are_refused(tmp_path):
    with pytest.raises(ValueError, match="several batches"):
        fitted(tmp_path, CPU, accumulate=2)


def network_and_steps(most=9):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))

    def step(batch):
        found = network(batch).square().sum()
        found.backward()
        return (found,)

    return network, GraphedSteps(step, network, CPU, Recorder(network), most)


def test_a_shape_is_captured_when_it_comes_again_and_the_rest_goes_without():
    network, steps = network_and_steps(most=2)
    for n in (4, 5, 6, 7):
        steps(torch.randn(n, 3))
    assert steps.record.captured == 0
    for n in (4, 4, 5, 6, 6, 7):
        steps(torch.randn(n, 3))
    assert FROM_SIGHT == 2
    assert steps.record.captured == 2
    assert steps.said() == "3 of 10 steps were replays of 2 graphs"
    assert int(network[1].num_batches_tracked) == 10


def test_a_replay_reads_the_batch_and_leaves_gradients_of_it_alone():
    network, steps = network_and_steps()
    batch = torch.randn(4, 3)
    steps(batch)
    captured = torch.randn(4, 3)
    kept = captured.clone()
    steps(captured)
    steps(torch.randn(4, 3))
    (found,) = steps(batch)
    assert torch.equal(captured, kept)
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = None
    (alone,) = steps.step(batch)
    assert torch.equal(found, alone)
    assert all(torch.equal(p.grad, kept) for p, kept in zip(network.parameters(), gradients, strict=True))
    # what others left to a parameter that the graph does not reach is gone
    network.register_parameter("other", nn.Parameter(torch.ones(1)))
    network.other.grad = torch.ones(1)
    # a graph leaves its results where it left the last ones
    assert steps(torch.randn(4, 3))[0] is found
    assert network.other.grad is None


def test_a_step_without_a_graph_leaves_gradients_of_its_batch_alone():
    network, steps = network_and_steps()
    batch = torch.randn(4, 3)
    steps(torch.randn(5, 3))
    (found,) = steps(batch)
    assert not found.requires_grad
    gradients = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    steps.step(batch)
    assert all(torch.equal(p.grad, kept) for p, kept in zip(network.parameters(), gradients, strict=True))


def test_a_batch_that_is_elsewhere_is_refused():
    _, steps = network_and_steps()
    steps.device = torch.device("meta")
    batch = torch.randn(4, 3)
    steps(batch)
    with pytest.raises(ValueError, match="a graph on meta cannot read what is on cpu"):
        steps(batch)


def test_the_shape_of_a_batch_is_all_that_a_graph_depends_on():
    one = Batch(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), "a")
    same = Batch(torch.ones(2, 3), torch.ones(2, dtype=torch.long), "a")
    assert shape_of(one) == shape_of(same)
    assert hash(shape_of(one)) == hash(shape_of(same))
    others = [
        same._replace(inputs=torch.ones(3, 2)), same._replace(inputs=torch.ones(2, 3).double()),
        same._replace(name="b"), {"inputs": torch.zeros(2, 3)}, {"outputs": torch.zeros(2, 3)},
        (torch.zeros(2, 3), None),
    ]  # fmt: skip
    assert len({shape_of(other) for other in [one, *others]}) == 1 + len(others)


def test_a_batch_is_mapped_part_by_part():
    batch = Batch(torch.ones(2), {"x": (torch.ones(1), None), "y": 3}, "a")
    doubled = mapped(batch, lambda values: 2 * values)
    assert isinstance(doubled, Batch)
    assert doubled.targets["x"] == (torch.tensor([2.0]), None)
    assert (doubled.targets["y"], doubled.name) == (3, "a")
    assert [values.tolist() for values in tensors_of(doubled)] == [[2.0, 2.0], [2.0]]


@pytest.mark.parametrize("method", ["single", "dann", "moe_dlc", "dsn_dlc", "maddog"])
def test_a_networks_step_is_the_same_again_from_the_same_tensors(method):
    """What a step reads is a batch, weights and buffers: strengths that an epoch sets are among these."""
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(load_method(method).build(
            Sizes(6, 4, (4, 4, 4)), Options(model=ModelOptions(maps=8, kernel=5, hidden=8, dropout=0.3))
        ).train())  # fmt: skip
        initialise(networks[-1])

    def passes(network):
        def run(batch):
            found = network.losses(batch, torch.ones(4))
            found.total.backward()
            return found

        return run

    graphed = GraphedSteps(passes(networks[0]), networks[0], CPU, Recorder(networks[0]))
    plain = passes(networks[1])
    optimizers = [Adam(network.parameters_of("all"), 1e-2) for network in networks]
    for epoch in range(3):
        for network in networks:
            network.start_epoch(epoch, "all")
        for number in range(3):
            generator = numpy_generator("batch", epoch, number)
            frames = torch.from_numpy(generator.normal(size=(2, 12, 32, 6))).float()
            places = torch.arange(12)
            batch = DlcBatch(
                *frames, torch.from_numpy(generator.integers(1, 33, 12)), torch.eye(4)[places % 4], places % 3,
                counts=Counts((4, 4, 4)),
            )  # fmt: skip
            totals = []
            for run, optimizer in zip((graphed, plain), optimizers, strict=True):
                torch.manual_seed(number)
                totals.append(run(batch).total.detach().clone())
                optimizer.step()
                optimizer.zero_grad()
            assert torch.equal(*totals)
    assert graphed.n_replays == 8
    for one, other in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(one, other)


class Stream:
    """Stands for `torch.cuda.Stream`; what it waits for is written down."""

    def __init__(self, name, done):
        self.name, self.done = name, done

    def wait_stream(self, other):
        self.done.append(f"{self.name} waits for {other.name}")


class Gpu:
    """Stands for what `torch.cuda` does on a GPU; keeps what it was asked for, in order.

    Of its random numbers it knows how many were drawn: a step draws one where it runs.
    """

    def __init__(self, monkeypatch):
        self.done, self.pools, self.graphs, self.drawn = [], [], [], 0
        self.streams, self.n_streams, self.capturing = [Stream("current", self.done)], 0, False
        for name in ("current_stream", "stream", "graph", "get_rng_state", "set_rng_state"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "Stream", self.new_stream)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay="replay"))

    def new_stream(self, device):
        self.n_streams += 1
        return Stream(f"stream {self.n_streams} of {device}", self.done)

    def current_stream(self, device):
        return self.streams[-1]

    def get_rng_state(self, device):
        return self.drawn

    def set_rng_state(self, state, device):
        self.drawn = state

    @contextmanager
    def stream(self, stream):
        self.streams.append(stream)
        yield
        self.streams.pop()

    @contextmanager
    def graph(self, graph, pool, stream):
        self.pools.append(pool)
        self.graphs.append(graph)
        self.capturing = True
        with self.stream(stream):
            try:
                yield
            except RuntimeError:
                raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904
        self.capturing = False

    def step(self):
        self.done.append(f"{'capture' if self.capturing else 'step'} on {self.streams[-1].name}")
        self.drawn += not self.capturing
        return "found"


@pytest.fixture
def gpu(monkeypatch):
    graphs._stream_of.cache_clear()
    yield Gpu(monkeypatch)
    graphs._stream_of.cache_clear()


def test_steps_are_warmed_up_and_captured_on_the_same_stream_in_all_fits(gpu):
    record = CudaRecorder(torch.device("cuda", 0))
    once = [
        "stream 1 of cuda:0 waits for current", *WARM_UP * ["step on stream 1 of cuda:0"],
        "current waits for stream 1 of cuda:0", "capture on stream 1 of cuda:0",
    ]  # fmt: skip
    assert record(gpu.step) == ("found", "replay")
    assert gpu.done == once
    record(gpu.step)
    CudaRecorder(torch.device("cuda", 0))(gpu.step)
    assert gpu.done == 3 * once
    assert gpu.drawn == 0
    assert len({id(graph) for graph in gpu.graphs}) == 3
    # memory is shared within a fit
    one, same, other = gpu.pools
    assert one is same is not other


def test_a_step_that_cannot_be_captured_is_named_with_what_to_do(gpu):
    def waits():
        if gpu.capturing:
            raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be")

    with pytest.raises(TrainingError, match=r"\(operation not permitted .* capturing\); set training.graphs to off$"):
        CudaRecorder(torch.device("cuda", 0))(waits)


def test_graphs_are_for_a_gpu_and_have_to_be_asked_for(caplog):
    caplog.set_level("INFO")
    cuda = torch.device("cuda")
    assert [wanted(setting, cuda) for setting in ("auto", "on", "off")] == [False, True, False]
    assert not caplog.records
    assert [wanted(setting, CPU) for setting in ("auto", "on", "off")] == [False, False, False]
    assert "graphs: on, and steps run on cpu" in caplog.text
