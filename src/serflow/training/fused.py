"""Fits of networks of one shape, trained at once: the loop of `serflow.training.fit` for several members in step.

A study writes a `FusedLearner`: the learners of its fits, and one forward pass for the batches of all of them. Each
member has its own batches, random numbers, history, best period and early stopping, and ends as its lone fit does, but
for the rounding of sums that are computed in another order.
"""

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import (
    Course,
    Fitted,
    Learner,
    Losses,
    LossMeans,
    Optimizer,
    Row,
    Schedule,
    constant,
    ended,
    joined,
    load_weights,
    periods_bar,
)
from serflow.training.seeds import Stream, seed_torch

log = logging.getLogger(__name__)

BatchT = TypeVar("BatchT")


class Member(NamedTuple):
    """One of the fits: what the log and errors call it, and the seed of its dropout; as `serflow.training.fit` has."""

    name: str
    seed: int


class FusedLearner(Protocol[BatchT]):
    """What `fit_fused` trains: learners whose networks have one shape, and what is computed for all of them at once.

    Members are numbered in the order of ``learners``. What is given by number is of the members that have a batch:
    epochs of some are shorter, and those that have stopped are not asked again.
    """

    @property
    def learners(self) -> Sequence[Learner[BatchT]]:
        """Of each member: its network, how it starts a period, and its batches."""

    @property
    def streams(self) -> Sequence[Stream]:
        """Random numbers of each member, which dropout draws from."""

    def losses(self, batches: Mapping[int, BatchT]) -> Mapping[int, Losses]:
        """Run the networks on a training batch of each member.

        Gradients of the sum of all totals reach each network by `share_gradients` alone.
        """

    def share_gradients(self) -> None:
        """Give the networks that were run last their gradients."""

    def validate(self, members: Sequence[int]) -> Mapping[int, Mapping[str, float]]:
        """Return what each learner's ``validate`` would; called in evaluation mode and without gradients."""


def together(batches: Mapping[int, Iterable[BatchT]]) -> Iterator[dict[int, BatchT]]:
    """Yield the first batches of all members, then the second ones, until the last member has no more.

    A member that has had all of its own is left out of the rest.
    """
    waiting = {member: iter(own) for member, own in batches.items()}
    while waiting:
        drawn: dict[int, BatchT] = {}
        for member, own in list(waiting.items()):
            # no name is left to hold a batch while the next is made
            drawn.update(zip([member], own, strict=False))
            if member not in drawn:
                del waiting[member]
        if drawn:
            yield drawn


def fit_fused(
    learner: FusedLearner[BatchT],
    optimize: Callable[[list[nn.Parameter]], Optimizer],
    schedule: Schedule,
    *,
    members: Sequence[Member],
    checkpoint: Checkpoint,
) -> list[Fitted]:
    """Train all members until the schedule has ended each; networks are left with their best weights.

    The state of all members is one file, written as `serflow.training.fit` writes that of one fit.

    Parameters
    ----------
    learner
        What is trained.
    optimize
        Makes the optimiser of the parameters of all members.
    schedule
        For how long each member goes on by itself, and how. Its rate is `constant`, and a batch makes an update.
    members
        Names and seeds.
    checkpoint
        Where the state goes.

    Returns
    -------
    list
        What each member ended with.

    Raises
    ------
    TrainingError
        If a loss, or another value for the history, is not finite.
    StoreError
        If the state on disk is damaged.
    """
    if schedule.rate is not constant or schedule.accumulate != 1:
        raise ValueError(f"fused fits have one rate, and a batch makes an update: {schedule}")
    learners = learner.learners
    networks = [each.network for each in learners]
    parameters = [list(network.parameters()) for network in networks]
    optimizer = optimize([parameter for own in parameters for parameter in own])
    courses = _resume(networks, optimizer, checkpoint)
    done = max(len(course.history) for course in courses)
    name = f"{members[0].name}, and {len(members) - 1} more"
    if done:
        log.info("%s: go on after period %d", name, done - 1)
    written = -math.inf
    with periods_bar(name, schedule, done) as bar:
        while going := [
            member for member, course in enumerate(courses) if schedule.goes_on(len(course.history), course.best_period)
        ]:
            # all that go on are in the same period: the state of all is written at once
            period = len(courses[going[0]].history)
            wheres = {member: f"{members[member].name}, period {period}" for member in going}
            started = {member: _start(learner, member, members[member].seed, period) for member in going}
            trained, counts = _train(learner, optimizer, schedule, parameters, going, period, wheres)
            for member in going:
                networks[member].eval()
            with torch.no_grad():
                validated = learner.validate(going)
            for member in going:
                course, where = courses[member], wheres[member]
                updates = counts[member] + (int(course.history[-1]["updates"]) if course.history else 0)
                own = joined(where, started[member], trained[member], validated[member])
                course.take({"period": period, "updates": updates, **own}, schedule, networks[member].state_dict, where)
            if time.monotonic() - written >= checkpoint.every_s:
                checkpoint.save(_state(networks, optimizer, courses))
                written = time.monotonic()
            bar.update()
    return [ended(network, course, schedule) for network, course in zip(networks, courses, strict=True)]


def _start(learner: FusedLearner[BatchT], member: int, seed: int, period: int) -> Mapping[str, float]:
    own = learner.learners[member]
    with learner.streams[member]():
        seed_torch("epoch", seed, period)
        own.network.train()
        return own.start(period)


def _drawn(batches: Iterable[BatchT], stream: Stream) -> Iterator[BatchT]:
    """Yield batches, which are made with a member's own random numbers."""
    waiting = iter(batches)
    while True:
        with stream():
            found = list(itertools.islice(waiting, 1))
        if not found:
            return
        yield found.pop()


def _train(
    learner: FusedLearner[BatchT],
    optimizer: Optimizer,
    schedule: Schedule,
    parameters: Sequence[list[nn.Parameter]],
    going: Sequence[int],
    period: int,
    wheres: Mapping[int, str],
) -> tuple[dict[int, Row], dict[int, int]]:
    """Go through the batches of a period; return the means of each member's losses, and how often it was moved."""
    means = {member: LossMeans() for member in going}
    counts = dict.fromkeys(going, 0)
    optimizer.zero_grad()
    for batches in together(
        {member: _drawn(learner.learners[member].batches(period), learner.streams[member]) for member in going}
    ):
        found = learner.losses(batches)
        torch.stack([losses.total for losses in found.values()]).sum().backward()  # type: ignore[no-untyped-call]
        learner.share_gradients()
        for member, losses in found.items():
            means[member].add(losses)
            counts[member] += 1
            if schedule.clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters[member], schedule.clip_norm)
        # a member without a batch has no gradients, and stands still
        optimizer.step()
        optimizer.zero_grad()
        # before the next batches are made
        del batches, found, losses
    return {member: means[member].read(f"{wheres[member]}, training") for member in going}, counts


def _state(networks: Sequence[nn.Module], optimizer: Optimizer, courses: Sequence[Course]) -> dict[str, Any]:
    # rows of one stack share its memory, all of which would be written with each of them
    return {
        "optimizer": optimizer.state_dict(),
        "members": [
            {"network": _own(network.state_dict()), **course.state()}
            for network, course in zip(networks, courses, strict=True)
        ],
    }


def _own(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in weights.items()}


def _resume(networks: Sequence[nn.Module], optimizer: Optimizer, checkpoint: Checkpoint) -> list[Course]:
    """Go on from the state on disk, if there is one; return how far each member had come."""
    state = checkpoint.load()
    if state is None:
        return [Course() for _ in networks]
    optimizer.load_state_dict(state["optimizer"])
    for network, of_member in zip(networks, state["members"], strict=True):
        load_weights(network, of_member["network"])
    return [Course.of(of_member) for of_member in state["members"]]
