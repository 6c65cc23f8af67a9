"""How a network is trained on a fold: batches as its method asks for, its stages in turn, its critic apart."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from serflow.devices import autocast
from serflow.studies.dlc.data import Batch, CellData, Fold, IntArray
from serflow.studies.dlc.models import Network
from serflow.studies.dlc.options import Options
from serflow.training.batching import (
    balanced_batches,
    bucketed_batches,
    dialogue_batches,
    homogeneous_batches,
    ordered_batches,
)
from serflow.training.checkpoints import Checkpoint, key_of
from serflow.training.fit import Critic, Fitted, Losses, fit
from serflow.training.optimizers import OPTIMIZERS
from serflow.training.seeds import numpy_generator, seed_from

# How the authors' code trains HFFN's fusion, where it is trained in stages: RMSprop, and ten dialogues a batch, which
# is about 320 utterances of the paper's corpora.
FUSION_OPTIMIZER = "rmsprop"
FUSION_RATE = 1e-3
FUSION_BATCH = 320

BatchMaker = Callable[[IntArray], Batch]


class Dealer(NamedTuple):
    """Deals the utterances of a fit to batches, as its method asks for.

    ``kind`` is a method's ``batches``, ``experts`` the place of each utterance's condition among those of training,
    ``size`` the utterances in a batch.
    """

    kind: str
    data: CellData
    experts: IntArray
    size: int

    def train(self, rows: IntArray, generator: np.random.Generator) -> list[IntArray]:
        """Return training batches: arrays of rows of the data."""
        lengths, groups = self.data.lengths[rows], self.experts[rows]
        if self.kind == "homogeneous":
            found = homogeneous_batches(lengths, groups, self.size, generator)
        elif self.kind == "balanced":
            found = balanced_batches(lengths, groups, self.size, generator)
        elif self.kind == "dialogues":
            found = dialogue_batches(*self._turns(rows), self.size, generator)
        else:
            found = bucketed_batches(lengths, self.size, generator)
        return [rows[places] for places in found]

    def test(self, rows: IntArray) -> list[IntArray]:
        """Return batches to validate or test on: places in ``rows``."""
        if self.kind == "dialogues":
            return dialogue_batches(*self._turns(rows), self.size)
        return ordered_batches(self.data.lengths[rows], self.size)

    def _turns(self, rows: IntArray) -> tuple[list[str], IntArray]:
        assert self.data.text is not None
        return [self.data.text.dialogues[row] for row in rows], self.data.text.turns[rows]


def train_stages(
    network: Network,
    dealer: Dealer,
    fold: Fold,
    make_batch: BatchMaker,
    class_weights: Tensor,
    options: Options,
    *,
    checkpoint: Checkpoint,
    names: Sequence[str | int],
    where: str,
) -> tuple[Fitted, list[dict[str, Any]]]:
    """Train all stages of a network in turn.

    Parameters
    ----------
    network
        Trained in place.
    dealer, make_batch
        From rows to lists of rows, and from these to a batch.
    fold
        Rows of training and validation.
    class_weights
        ``(classes,)``, on the device to train on.
    options
        See `Options`.
    checkpoint
        Where the state goes; a network of several stages has a file for each.
    names
        What random numbers depend on.
    where
        What the log calls this fit.

    Returns
    -------
    Fitted, list
        What the last stage ended with, and the histories of all, each row with its ``stage``.
    """
    training = options.training
    history: list[dict[str, Any]] = []
    for stage in network.stages:
        several = len(network.stages) > 1
        part = dealer._replace(size=FUSION_BATCH) if stage == "fusion" else dealer
        optimizer, rate = (
            (FUSION_OPTIMIZER, FUSION_RATE) if stage == "fusion" else (training.optimizer, training.learning_rate)
        )
        seeded = (*names, stage) if several else tuple(names)
        shuffled = functools.partial(_shuffled, part, fold.train, make_batch, seeded)
        fitted = fit(
            network,
            OPTIMIZERS[optimizer](network.parameters_of(stage), rate),
            functools.partial(_losses, network, class_weights, stage),
            functools.partial(shuffled, "batches"),
            lambda: (make_batch(fold.val[places]) for places in dealer.test(fold.val)),
            name=f"{where}, {stage}" if several else where,
            seed=seed_from(*seeded),
            max_epochs=training.max_epochs,
            patience=training.patience,
            checkpoint=_checkpoint_of(checkpoint, stage) if several else checkpoint,
            autocast=autocast(class_weights.device, training.precision),
            start_epoch=functools.partial(_start_epoch, network, stage),
            critic=_critic(network, options, shuffled),
        )
        history += [{"stage": stage, **row} for row in fitted.history]
    return fitted, history


def _checkpoint_of(checkpoint: Checkpoint, stage: str) -> Checkpoint:
    return Checkpoint(checkpoint.path.with_suffix(f".{stage}.pt"), key_of(checkpoint.key, stage))


def _shuffled(
    dealer: Dealer, rows: IntArray, make_batch: BatchMaker, names: Sequence[str | int], purpose: str, epoch: int
) -> Iterator[Batch]:
    for batch in dealer.train(rows, numpy_generator(purpose, *names, epoch)):
        yield make_batch(batch)


def _losses(network: Network, class_weights: Tensor, stage: str, batch: Batch) -> Losses:
    return network.losses(batch, class_weights, stage)


def _start_epoch(network: Network, stage: str, epoch: int) -> None:
    network.start_epoch(epoch, stage)


def _critic(
    network: Network, options: Options, shuffled: Callable[[str, int], Iterator[Batch]]
) -> Critic[Batch] | None:
    """Return the part of the network that is trained apart, with its batches; None where there is none."""
    acoustic = network.acoustic
    part = acoustic.trained_apart()
    if part is None:
        return None
    return Critic(
        OPTIMIZERS[options.training.optimizer](part.parameters(), options.training.learning_rate),
        acoustic.critic_loss,
        lambda epoch: itertools.islice(
            # a small corpus has fewer batches than the critic wants
            itertools.chain.from_iterable(shuffled(f"critic {turn}", epoch) for turn in itertools.count()),
            options.maddog.critic_batches,
        ),
        acoustic.after_critic_step,
    )
