"""The training loop: epochs, early stopping on validation UA, best weights kept, resumable."""

import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from serflow.errors import TrainingError
from serflow.training.checkpoints import Checkpoint
from serflow.training.metrics import unweighted_accuracy
from serflow.training.optimizers import Optimizer
from serflow.training.seeds import seed_torch

log = logging.getLogger(__name__)


class Losses(NamedTuple):
    """What a network makes of a batch: the loss to minimise, its named terms, and logits ``(batch, classes)``."""

    total: Tensor
    terms: dict[str, Tensor]
    logits: Tensor


class TargetBatch(Protocol):
    """A batch, as far as `fit` looks into it: ``targets`` are class distributions, ``(batch, classes)``."""

    @property
    def targets(self) -> Tensor: ...  # noqa: D102


BatchT = TypeVar("BatchT", bound=TargetBatch)


class Critic(NamedTuple, Generic[BatchT]):
    """A part of the network that learns by itself at the start of each epoch, and is frozen in the rest of it.

    ``batches`` gives those of an epoch by its number, ``loss`` what the critic minimises, ``after_step`` puts its
    weights back within their bounds. The optimizer of `fit` must not hold its parameters.
    """

    optimizer: Optimizer
    loss: Callable[[BatchT], Tensor]
    batches: Callable[[int], Iterable[BatchT]]
    after_step: Callable[[], None]


class Fitted(NamedTuple):
    """The weights of the best epoch, which that was (from 0), and a row of values for each epoch."""

    weights: dict[str, Tensor]
    best_epoch: int
    history: list[dict[str, float]]


def fit(
    network: nn.Module,
    optimizer: Optimizer,
    losses: Callable[[BatchT], Losses],
    train_batches: Callable[[int], Iterable[BatchT]],
    val_batches: Callable[[], Iterable[BatchT]],
    *,
    name: str,
    seed: int,
    max_epochs: int,
    patience: int,
    checkpoint: Checkpoint,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    start_epoch: Callable[[int], None] = lambda epoch: None,
    critic: Critic[BatchT] | None = None,
) -> Fitted:
    """Train until validation UA has not risen for ``patience`` epochs; end with the weights of the best epoch.

    The state is written after each epoch. Random numbers and the order of the data depend on the seed and
    the epoch alone, so a killed fit goes on from its last whole epoch to the same result, bit for bit.

    Parameters
    ----------
    network
        Trained in place.
    optimizer
        Over the network's parameters.
    losses
        Runs the network on a batch.
    train_batches
        Batches of an epoch, by its number.
    val_batches
        Validation batches.
    name
        What the log and the progress bar call this fit.
    seed
        Of dropout.
    max_epochs, patience
        In epochs.
    checkpoint
        Where the state goes.
    autocast
        Makes the context in which losses are computed, e.g. :class:`torch.autocast` for bfloat16.
    start_epoch
        Called with the number of an epoch before it starts.
    critic
        What learns by itself before each epoch.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    StoreError
        If the state on disk is damaged.
    """
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    best_epoch = -1
    state = checkpoint.load()
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if critic is not None:
            critic.optimizer.load_state_dict(state["critic"])
        history, best, best_epoch = state["history"], state["best"], state["best_epoch"]
        log.info("%s: goes on after epoch %d", name, len(history) - 1)

    with tqdm(
        desc=name, total=max_epochs, initial=len(history), unit="epoch", leave=False, disable=not sys.stderr.isatty()
    ) as bar:
        while len(history) < max_epochs and len(history) - 1 - best_epoch < patience:
            epoch = len(history)
            seed_torch("epoch", seed, epoch)
            start_epoch(epoch)
            network.train()
            apart = {} if critic is None else {"critic_loss": _teach_critic(critic, epoch, name, autocast)}
            trained = _epoch(losses, train_batches(epoch), f"{name}, epoch {epoch}, training", autocast, optimizer)
            network.eval()
            with torch.no_grad():
                validated = _epoch(losses, val_batches(), f"{name}, epoch {epoch}, validation", autocast)
            history.append(
                {
                    "epoch": epoch,
                    **{key: value for key, value in trained.items() if key != "ua"},
                    **apart,
                    "train_ua": trained["ua"],
                    "val_loss": validated["loss"],
                    "val_ua": validated["ua"],
                }
            )
            if best_epoch < 0 or validated["ua"] > history[best_epoch]["val_ua"]:
                best_epoch = epoch
                best = {key: value.detach().clone() for key, value in network.state_dict().items()}
            checkpoint.save(
                {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "critic": None if critic is None else critic.optimizer.state_dict(),
                    "history": history,
                    "best": best,
                    "best_epoch": best_epoch,
                }
            )
            log.info(
                "%s: epoch %d, loss %.4f, train UA %.3f, val loss %.4f, val UA %.3f%s",
                name, epoch, trained["loss"], trained["ua"], validated["loss"], validated["ua"],
                " (best)" if best_epoch == epoch else "",
            )  # fmt: skip
            bar.set_postfix(loss=f"{trained['loss']:.3f}", val_ua=f"{validated['ua']:.3f}")
            bar.update()
    network.load_state_dict(best)
    network.eval()
    return Fitted({key: value.cpu() for key, value in best.items()}, best_epoch, history)


def _teach_critic(
    critic: Critic[BatchT], epoch: int, name: str, autocast: Callable[[], AbstractContextManager[Any]]
) -> float:
    """Let the critic learn its batches of an epoch; return its mean loss."""
    losses = []
    for batch in critic.batches(epoch):
        with autocast():
            loss = critic.loss(batch)
        critic.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        critic.optimizer.step()
        critic.after_step()
        losses.append(loss.detach())
    mean = float(torch.stack(losses).double().mean())
    if not np.isfinite(mean):
        raise TrainingError(f"{name}, epoch {epoch}: the critic's loss is not finite; lower training.learning_rate")
    return mean


def _epoch(
    losses: Callable[[BatchT], Losses],
    batches: Iterable[BatchT],
    where: str,
    autocast: Callable[[], AbstractContextManager[Any]],
    optimizer: Optimizer | None = None,
) -> dict[str, float]:
    """Go once through the batches, learning if there is an optimizer; return means over utterances and UA."""
    sizes, totals, targets, predictions = [], [], [], []
    names: list[str] = []
    for batch in batches:
        with autocast():
            found = losses(batch)
        if optimizer is not None:
            optimizer.zero_grad()
            found.total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        names = ["loss", *found.terms]
        sizes.append(len(batch.targets))
        totals.append(torch.stack([found.total, *found.terms.values()]).detach())
        targets.append(batch.targets)
        predictions.append(found.logits.detach().argmax(1))
    # one look per epoch: asking for each value would make a GPU wait for every batch
    values = torch.stack(totals).double().cpu().numpy()
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        raise TrainingError(
            f"{where}, batch {broken[0]}: the loss is not finite "
            f"({', '.join(f'{key} {value:g}' for key, value in zip(names, values[broken[0]], strict=True))}); "
            "lower training.learning_rate, or set training.precision to fp32"
        )
    means = np.average(values, axis=0, weights=sizes)
    ua = unweighted_accuracy(torch.cat(targets).cpu().numpy(), torch.cat(predictions).cpu().numpy())
    return {**{key: float(value) for key, value in zip(names, means, strict=True)}, "ua": ua}
