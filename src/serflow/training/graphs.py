"""Training steps as CUDA graphs: the operations of both passes are started by one call instead of one by one.

A graph has the shapes that it was captured with, so there is one for each shape of a batch (`shape_of`), with memory of
its own for what it reads and what it leaves behind. Moving the weights is no part of it: rates and corrections for the
first steps are numbers that change from step to step, and an optimiser has seven operations or so, of all parameters at
once. A replay starts the kernels of the step that it was captured from, with random numbers from where the generator
stands: the same operations as without graphs, in the same order.

What holds for a step that is captured: it asks a device for no value and sends it none, and what differs from step to
step, or is set at the start of a period, is a tensor that is changed in place. It follows PyTorch's notes on CUDA
graphs; https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from serflow.errors import TrainingError

log = logging.getLogger(__name__)

BatchT = TypeVar("BatchT")
FoundT = TypeVar("FoundT")
Setting = Literal["auto", "on", "off"]

WARM_UP = 3
"""Steps before a capture, in which libraries choose kernels and take memory; PyTorch's number."""
FROM_SIGHT = 2
"""A shape is captured when it comes for so manieth time: one that comes once would cost more than it saves."""
MOST = 64
"""Graphs of a fit; each keeps gradients of its own."""


def wanted(setting: Setting, device: torch.device) -> bool:
    """Tell whether steps are captured: where there is a GPU and the setting is ``on``.

    ``auto`` is ``off``: on a GPU nothing of this has run so far.
    """
    if setting == "on" and device.type != "cuda":
        log.info("graphs: on, and steps run on %s, which has none: operations are started one by one", device.type)
    return setting == "on" and device.type == "cuda"


def mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return a batch, made of tuples, mappings, tensors and plain values, with ``function`` of each of its tensors."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple):
        parts = [mapped(part, function) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, Mapping):
        return {key: mapped(part, function) for key, part in value.items()}
    return value


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch, always in the same order."""
    found: list[Tensor] = []
    mapped(value, lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
    yield from found


def shape_of(value: Any) -> Hashable:
    """Return what a graph of a batch depends on: shapes and types of its tensors, and all else as it is."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype
    if isinstance(value, tuple):
        return tuple(shape_of(part) for part in value)
    if isinstance(value, Mapping):
        return tuple((key, shape_of(part)) for key, part in value.items())
    plain: Hashable = value
    return plain


class Graph(NamedTuple):
    """A captured step: what it reads, what it leaves behind, gradients among it, and what runs it again."""

    inputs: Any
    found: Any
    gradients: Sequence[tuple[nn.Parameter, Tensor]]
    replay: Callable[[], None]


Recorder = Callable[[Callable[[], FoundT]], tuple[FoundT, Callable[[], None]]]
"""From a step to what it leaves behind and what runs it again; the step may have run, and drawn no random number."""


@functools.cache
def _stream_of(device: torch.device) -> Any:
    """Return the stream that steps are captured on, one for all fits: libraries keep the memory they take for each."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class CudaRecorder:
    """Captures steps as CUDA graphs. They are replayed one at a time, so all share their memory for what passes.

    Parameters
    ----------
    device
        The GPU that steps run on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = _stream_of(device)

    def __call__(self, step: Callable[[], FoundT]) -> tuple[FoundT, Callable[[], None]]:
        """Run a step a few times, then capture it.

        Raises
        ------
        TrainingError
            If CUDA cannot capture it, as where it waits for the host.
        """
        self._warm_up(step)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                found = step()
        except RuntimeError as error:
            said = str(_first(error)).partition("\n")[0]
            raise TrainingError(
                f"a step cannot be captured as a CUDA graph ({said}); set training.graphs to off"
            ) from error
        return found, graph.replay

    def _warm_up(self, step: Callable[[], object]) -> None:
        """Run a step where it will be captured; random numbers go on as if it had not been."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.random.fork_rng(devices=[self._device]), torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                step()
        current.wait_stream(self._stream)


def _first(error: BaseException) -> BaseException:
    """Return the error that others came of: a capture that has failed cannot be ended without another."""
    while isinstance(error.__context__, RuntimeError):
        error = error.__context__
    return error


@dataclass
class GraphedSteps(Generic[BatchT, FoundT]):
    """Both passes of training steps, as graphs where the shape of a batch came before.

    What it returns is overwritten by the next step: it is to be read, or copied, until then.

    Parameters
    ----------
    step
        Runs both passes on a batch and leaves gradients behind, as it would without graphs.
    network
        Whose parameters have the gradients, and whose buffers a step may change.
    device
        Where it runs.
    record
        What captures a step on the device.
    most
        Graphs at most; further shapes are run as without graphs.
    """

    step: Callable[[BatchT], FoundT]
    network: nn.Module
    device: torch.device
    record: Recorder[FoundT]
    most: int = MOST
    n_steps: int = 0
    n_replays: int = 0
    _graphs: dict[Hashable, Graph] = field(default_factory=dict)
    _seen: Counter[Hashable] = field(default_factory=Counter)

    def __call__(self, batch: BatchT) -> FoundT:
        """Run both passes on a batch; gradients are those of this batch alone, whatever there was.

        What is returned has no history. While one lives, so do the nodes in which parameters gather their gradients,
        and these stay on the stream of the step that made them, which a capture must not wait for.

        Raises
        ------
        TrainingError
            If the step cannot be captured.
        ValueError
            If a tensor of the batch is not on the device, from where alone a graph reads.
        """
        self.n_steps += 1
        shape = shape_of(batch)
        graph = self._graphs.get(shape)
        if graph is None:
            self._seen[shape] += 1
            if self._seen[shape] < FROM_SIGHT or len(self._graphs) == self.most:
                self._forget()
                eager: FoundT = mapped(self.step(batch), Tensor.detach)
                return eager
            graph = self._graphs[shape] = self._capture(batch)
        for kept, values in zip(tensors_of(graph.inputs), tensors_of(batch), strict=True):
            kept.copy_(values, non_blocking=True)
        graph.replay()
        self._forget()
        for parameter, gradient in graph.gradients:
            parameter.grad = gradient
        self.n_replays += 1
        found: FoundT = graph.found
        return found

    def said(self) -> str:
        """Return how often a graph was replayed, for the log."""
        return f"{self.n_replays} of {self.n_steps} steps were replays of {len(self._graphs)} graphs"

    def _capture(self, batch: BatchT) -> Graph:
        """Capture a step of batches of a shape; weights, buffers and random numbers go on as if it had not been."""
        elsewhere = {str(values.device) for values in tensors_of(batch) if values.device.type != self.device.type}
        if elsewhere:
            raise ValueError(f"a graph on {self.device} cannot read what is on {', '.join(sorted(elsewhere))}")
        inputs = mapped(batch, torch.clone)
        before = [buffer.clone() for buffer in self.network.buffers()]

        def step() -> FoundT:
            # gradients are made anew, in the graph's own memory
            self._forget()
            return self.step(inputs)

        found, replay = self.record(step)
        for buffer, values in zip(self.network.buffers(), before, strict=True):
            buffer.copy_(values)
        gradients = [(parameter, parameter.grad) for parameter in self.network.parameters()]
        return Graph(
            inputs, mapped(found, Tensor.detach), [(each, grad) for each, grad in gradients if grad is not None], replay
        )

    def _forget(self) -> None:
        for parameter in self.network.parameters():
            parameter.grad = None
