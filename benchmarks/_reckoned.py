"""What is reckoned of fits that nobody ran: the steps of a plan, what a step is made of, and the time of a device."""

from dataclasses import dataclass, field
from typing import NamedTuple

from serflow.planning.work import NOTHING, Amount


class Range(NamedTuple):
    """A value at best and at worst."""

    best: float
    worst: float


class Device(NamedTuple):
    """What a device is assumed to take: seconds for each operation that is started; FLOPs and bytes a second."""

    start_s: Range
    flops: Range
    bandwidth: Range

    def step_s(self, operations: float, flops: float, moved: float) -> Range:
        """Return the time (s) of a step: whichever takes longest."""
        return Range(
            *(
                max(operations * start_s, flops / speed, moved / bandwidth)
                for start_s, speed, bandwidth in zip(*self, strict=True)
            )
        )


# of an H100 (SXM), whose data sheet has 67 TFLOP/s in fp32, 494 in TF32 and 3.35 TB/s: a tenth to a half of fp32, as
# layers are small, and a third to two thirds of the bandwidth
EAGER = Device(Range(5e-6, 15e-6), Range(30e12, 7e12), Range(2.2e12, 1.1e12))
"""PyTorch starting each operation from Python, autograd included."""
GRAPH = EAGER._replace(start_s=Range(1.5e-6, 3e-6))
"""The same operations replayed as one CUDA graph."""


class Counted(NamedTuple):
    """Operations, FLOPs and bytes of a step as lines over its items: those of none, and for each."""

    operations: tuple[float, float]
    flops: tuple[float, float]
    moved: tuple[float, float]

    def of(self, items: float, longer: float) -> tuple[float, float, float]:
        """Return those of a step of so many items, each so much longer than the counted ones."""
        operations, flops, moved = self
        scaled = longer * items
        return operations[0] + operations[1] * items, flops[0] + flops[1] * scaled, moved[0] + moved[1] * scaled


@dataclass
class Planned:
    """All fits of a network: ``items`` are training utterances times epochs, ``steps`` updates, least and most."""

    fits: float = 0.0
    items: Amount = NOTHING
    steps: Amount = NOTHING
    length_s: list[float | None] = field(default_factory=list)

    def add(self, fits: float, items: Amount, batch: int, length_s: float | None) -> None:
        """Take in a training."""
        self.fits += fits
        self.items = Amount(self.items.least + items.least, self.items.most + items.most)
        self.steps = Amount(self.steps.least + items.least / batch, self.steps.most + items.most / batch)
        self.length_s.append(length_s and length_s * items.most)

    @property
    def mean_s(self) -> float | None:
        """Mean length (s) of a training utterance, where all are known."""
        known = [length for length in self.length_s if length is not None]
        return sum(known) / self.items.most if len(known) == len(self.length_s) else None
