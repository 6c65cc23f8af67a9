"""The fits of a cell as one network: Single, its controls, and the noise classifier.

Other methods are trained by themselves: an encoder for each condition (MoE, DSN) is run on batches of its own
condition, a critic (MADDoG) and HFFN's stages are trained in turns.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.devices import autocast
from serflow.nn.convolution import Convolution, MaskedInstanceNorm
from serflow.nn.grouped import (
    Stack,
    by_member,
    convolution,
    frame_masks,
    instance_norm,
    linear,
    one_above_another,
    shapes,
    side_by_side,
    transposed_convolution,
)
from serflow.nn.pooling import max_pool, pooled_lengths
from serflow.studies.dlc.catalog import method_info
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.learner import (
    Prepared,
    StageLearner,
    Validation,
    history_of,
    losses_of,
    stage_plan,
    train_stages,
)
from serflow.studies.dlc.models import AcousticClassifier, Classifier, Decoder, Encoder, Outcome, Term, weighted_losses
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.single import SingleEncoder
from serflow.training.checkpoints import Checkpoint, key_of
from serflow.training.fit import Fitted, Losses, Schedule
from serflow.training.fused import Member, fit_fused, together
from serflow.training.optimizers import OPTIMIZERS
from serflow.training.seeds import Stream, seed_from

log = logging.getLogger(__name__)

MOST = 16
"""Fits that are one network at most: what a step keeps in memory grows with them."""


def fuses(method: str, options: Options) -> bool:
    """Tell whether the fits of a method are to be trained as one network; settings refuse `always` of another.

    ``auto`` is ``never``: at the papers' sizes it does not pay on a CPU, and on a GPU nothing of this has run so far.
    """
    return method_info(method).fuses and options.training.fused == "always"


class Singles:
    """Networks of one shape that are an `AcousticClassifier` with a `SingleEncoder`, run at once.

    ``class_weights`` are ``(classes,)``, and ``streams`` random numbers, of each network.
    """

    def __init__(
        self, networks: Sequence[AcousticClassifier], class_weights: Sequence[Tensor], streams: Sequence[Stream]
    ) -> None:
        self.stack = Stack(networks)
        self.first = networks[0]
        self.class_weights = torch.stack(list(class_weights))
        self.streams = streams

    def outcomes(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Return what each network makes of its batch."""
        acoustic = self.first.acoustic
        assert isinstance(acoustic, SingleEncoder)
        lengths = one_above_another([batch.lengths for batch in batches])
        targets = one_above_another([batch.targets for batch in batches])
        sizes = (lengths > 0).sum(1)
        code = self._encode(acoustic.encoder, side_by_side([batch.noisy for batch in batches]), lengths)
        logits = self._classify(self.first.classifier, code, lengths, batches)
        # a row that a member does not have has no target, as it has no frame
        weighted = F.log_softmax(logits, dim=2) * targets * self.class_weights[:, None]
        terms: dict[str, Term] = {}
        if acoustic.decoder is not None:
            clean = side_by_side([batch.clean for batch in batches])
            decoded = self._decode(acoustic.decoder, code, lengths, clean.shape[1])
            terms["reconstruction_loss"] = Term(acoustic.reconstruction_weight, self._error(decoded, clean, lengths))
        found = weighted_losses(-weighted.sum((1, 2)) / sizes, terms, logits)
        return [
            Outcome(
                found.total[place],
                {name: values[place] for name, values in found.terms.items()},
                logits[place, : len(batch.targets)],
            )
            for place, batch in enumerate(batches)
        ]

    def _encode(self, encoder: Encoder, frames: Tensor, lengths: Tensor) -> Tensor:
        mask = frame_masks(lengths, frames.shape[1])
        for index, layer in enumerate(encoder.convolutions):
            assert isinstance(layer, Convolution)
            frames = convolution(self.stack, layer, frames, mask)
            if encoder.norms:
                norm = encoder.norms[index]
                assert isinstance(norm, MaskedInstanceNorm)
                frames = instance_norm(self.stack, norm, frames, mask)
            frames = F.relu(frames, inplace=True)
        return max_pool(frames, encoder.pool)

    def _decode(self, decoder: Decoder, code: Tensor, lengths: Tensor, n_frames: int) -> Tensor:
        decoded = pooled_lengths(lengths, decoder.pool)
        for layer in (decoder.first, decoder.second):
            decoded = decoded * layer.stride
            mask = frame_masks(decoded, code.shape[1] * layer.stride)
            code = F.relu(transposed_convolution(self.stack, layer, code, mask), inplace=True)
        return convolution(self.stack, decoder.output, code, frame_masks(lengths, code.shape[1]))[:, :n_frames]

    def _error(self, output: Tensor, clean: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean squared error of each member, ``(member,)``; of padded frames, both are zero."""
        squared = by_member((output - clean).square(), len(self.stack))
        return squared.sum((0, 1, 3)) / (lengths.sum(1) * squared.shape[3])

    def _classify(self, classifier: Classifier, code: Tensor, lengths: Tensor, batches: Sequence[Batch]) -> Tensor:
        """Return logits ``(member, batch, classes)``."""
        members, batch = lengths.shape
        each = by_member(code, members).permute(2, 0, 1, 3).flatten(0, 1)
        # the code of a row that a member does not have is zero, of a frame as good as of none
        rows: Tensor = classifier.readout(each, lengths.flatten().clamp(min=1)).reshape(members, batch, -1)
        for layer in classifier.dense:
            if isinstance(layer, nn.Dropout):
                rows = self._dropped(layer, rows, [len(own.targets) for own in batches])
            elif isinstance(layer, nn.Linear):
                rows = linear(self.stack, layer, rows)
            else:
                rows = layer(rows)
        return rows

    def _dropped(self, layer: nn.Dropout, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        """Drop what each member would drop by itself."""
        if not layer.training or not layer.p:
            return rows
        kept = []
        for stream, size in zip(self.streams, sizes, strict=True):
            with stream():
                kept.append(F.dropout(rows.new_ones(size, rows.shape[2]), layer.p))
        return rows * one_above_another(kept)


@dataclass
class FusedStage:
    """The one stage of several fits, for `serflow.training.fused.fit_fused`."""

    learners: Sequence[StageLearner]
    streams: Sequence[Stream]
    _singles: Singles | None = field(default=None, init=False)
    _stacked: tuple[int, ...] = field(default=(), init=False)

    def losses(self, batches: Mapping[int, Batch]) -> Mapping[int, Losses]:
        """Return what each stage minimises, and its terms."""
        found = {member: losses_of(batches[member], outcome) for member, outcome in self._run(batches).items()}
        for member, losses in found.items():
            self.learners[member].take_in(batches[member], losses)
        return found

    def share_gradients(self) -> None:
        """Give the networks their gradients."""
        assert self._singles is not None
        self._singles.stack.share_gradients()

    def validate(self, members: Sequence[int]) -> Mapping[int, Mapping[str, float]]:
        """Return UA of the training as it went along, and UA and loss of validation."""
        found = {member: Validation() for member in members}
        for batches in together({member: self.learners[member].validation_batches() for member in members}):
            for member, outcome in self._run(batches).items():
                found[member].add(batches[member], outcome)
        return {member: self.learners[member].validated(validation) for member, validation in found.items()}

    def _run(self, batches: Mapping[int, Batch]) -> dict[int, Outcome]:
        members = tuple(batches)
        if self._singles is None or members != self._stacked:
            networks = [self.learners[member].network for member in members]
            weights = [self.learners[member].class_weights for member in members]
            streams = [self.streams[member] for member in members]
            self._singles, self._stacked = Singles(_classifiers(networks), weights, streams), members
        with self.learners[members[0]].precision():
            outcomes = self._singles.outcomes([batches[member] for member in members])
        return dict(zip(members, outcomes, strict=True))


def _classifiers(networks: Sequence[nn.Module]) -> list[AcousticClassifier]:
    found = [network for network in networks if isinstance(network, AcousticClassifier)]
    assert len(found) == len(networks)
    return found


def train_fused(
    prepared: Sequence[Prepared], options: Options, checkpoints: Sequence[Checkpoint]
) -> list[tuple[Fitted, list[dict[str, Any]]]]:
    """Train networks at once where their shapes are the same; one of another shape is trained by itself.

    Parameters
    ----------
    prepared
        What is trained; networks are `Singles`.
    options
        Of the method.
    checkpoints
        Where the state of each would go by itself; that of several lies beside that of the first.

    Returns
    -------
    list
        For each of them, what `train_stages` returns.
    """
    found: dict[int, tuple[Fitted, list[dict[str, Any]]]] = {}
    for group in _groups(prepared):
        own = [prepared[place] for place in group]
        if len(group) == 1:
            log.info("%s: trained by itself, no other fit of the cell has a network of its shape", own[0].where)
            found[group[0]] = train_stages(own[0], options, checkpoints[group[0]])
            continue
        log.info("%d fits are trained as one network: %s", len(group), "; ".join(each.where for each in own))
        fitted = _train_group(own, options, [checkpoints[place] for place in group])
        found.update({place: (each, history_of("all", each)) for place, each in zip(group, fitted, strict=True)})
    return [found[place] for place in range(len(prepared))]


def _groups(prepared: Sequence[Prepared]) -> Iterator[list[int]]:
    """Yield the places of networks of one shape, `MOST` at most."""
    alike: dict[Any, list[int]] = {}
    for place, each in enumerate(prepared):
        alike.setdefault(shapes(each.network), []).append(place)
    for places in alike.values():
        for start in range(0, len(places), MOST):
            yield places[start : start + MOST]


def _train_group(own: Sequence[Prepared], options: Options, checkpoints: Sequence[Checkpoint]) -> list[Fitted]:
    training, device = options.training, own[0].device
    plan = stage_plan("all", options)
    precision = autocast(device, training.precision)
    learners = [
        StageLearner(
            each.network,
            "all",
            each.dealer,
            each.fold,
            each.make_batch,
            each.class_weights,
            precision,
            each.names,
            None,
        )
        for each in own
    ]
    first = checkpoints[0]
    return fit_fused(
        FusedStage(learners, [Stream(device) for _ in own]),
        lambda parameters: OPTIMIZERS[plan.optimizer](parameters, plan.learning_rate),
        Schedule(plan.epochs, select="val_ua", patience=training.patience),
        members=[Member(each.where, seed_from(*each.names)) for each in own],
        checkpoint=replace(
            first, path=first.path.with_suffix(".fused.pt"), key=key_of(*(each.key for each in checkpoints))
        ),
    )
