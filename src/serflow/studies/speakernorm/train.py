"""Train and test one case on one corpus, by one kind of folds (sections III and IV)."""

import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serflow.backbones._wav2vec2_network import Wav2Vec2
from serflow.backbones.base import load_network
from serflow.devices import autocast, usable_device
from serflow.nn.adversarial import reversal_ramp
from serflow.nn.parameters import count_parameters
from serflow.protocols.folds import FoldRows, IntArray
from serflow.runs.artefacts import FitResult, Tested
from serflow.runs.classes import counts_of, require_every_class, tallies_of
from serflow.runs.probes import speaker_probes
from serflow.studies.speakernorm.catalog import BASELINE, Cell
from serflow.studies.speakernorm.data import CellData, Files, load_cell, make_batch, require_room
from serflow.studies.speakernorm.losses import Batch, joint_losses
from serflow.studies.speakernorm.network import SpeakerNormNetwork
from serflow.studies.speakernorm.options import Options, TrainingOptions
from serflow.studies.speakernorm.protocol import folds as fold_rows
from serflow.training.batching import bucketed_batches, ordered_batches, shuffled_batches
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.metrics import Tally, score, tally
from serflow.training.optimizers import Adam
from serflow.training.seeds import numpy_generator, seed_from, seed_torch
from serflow.transcripts.scoring import count_errors

__all__ = ["Cell", "Files", "Options", "folds", "load", "train_fit"]

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.floating]
Rate = Callable[[int, Sequence[Mapping[str, float]]], float]
NO_HEAD = "beta is 0: there is no speaker head"
NOT_IN_TRAINING = "no speaker of these utterances is in training"


def load(files: Files, cell: Cell, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need; see `load_cell`."""
    return load_cell(files, options, runs)


def folds(cell: Cell, data: CellData) -> Iterator[FoldRows]:
    """Yield the fits of a cell."""
    yield from fold_rows(cell.folds, data.runs, data.roles, data.utterances, data.speakers, data.options)


class Evaluated(NamedTuple):
    """What the network says of utterances.

    Parameters
    ----------
    probabilities
        Of the emotions, ``(n, classes)``.
    heard
        Words that were recognised, ``(n,)``.
    speakers
        Logits ``(n, n_speakers)``; None without speaker head.
    vectors
        What emotion and speaker are read off, ``(n, width)``.
    """

    probabilities: FloatArray
    heard: list[str]
    speakers: FloatArray | None
    vectors: FloatArray


@dataclass
class CaseLearner:
    """A case's training, for `serflow.training.fit`; a period is ``eval_updates`` updates, whatever the epochs are."""

    network: SpeakerNormNetwork
    options: Options
    data: CellData
    rows: FoldRows
    numbers: IntArray
    device: torch.device
    names: Sequence[str | int]
    role: str = field(init=False)

    def __post_init__(self) -> None:
        """Say what is evaluated on the way."""
        self.role = "test" if self.options.watch == "test" else "val"
        self.epoch = functools.lru_cache(maxsize=1)(self._epoch)

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.rows.train) // self.options.training.batch_size)

    @property
    def updates(self) -> int:
        """Updates of the whole training; one may take the last batches of an epoch and the first of the next."""
        return -(-self.options.training.epochs * self.per_epoch // self.options.training.accumulate)

    @property
    def periods(self) -> int:
        """Evaluations; the last one is at the end."""
        return -(-self.updates // self.options.training.eval_updates)

    def start(self, period: int) -> Mapping[str, float]:
        """Set the strength of the reversal for the period."""
        if self.network.speaker is None or self.options.speaker.schedule == "constant":
            return {}
        strength = reversal_ramp(period * self.options.training.eval_updates / self.updates)
        self.network.set_progress(self.options, strength)
        return {"strength": strength}

    def batches(self, period: int) -> Iterator[Batch]:
        """Return the batches of a period: epochs follow one another, each shuffled anew."""
        training = self.options.training
        size = training.eval_updates * training.accumulate
        last = min((period + 1) * size, training.epochs * self.per_epoch)
        for place in range(period * size, last):
            epoch, of_epoch = divmod(place, self.per_epoch)
            yield self._make(self.rows.train[self.epoch(epoch)[of_epoch]])

    def losses(self, batch: Batch) -> Losses:
        """Return the joint loss."""
        with self._autocast():
            found = self.network(batch.waveforms, batch.n_samples)
        return joint_losses(found, batch, self.options, self.data.spelling.blank)

    def validate(self) -> Mapping[str, float]:
        """Return accuracy (WA), UA, WER and speaker accuracy of what is watched, by role."""
        rows = self.rows.roles()[self.role]
        found = self.evaluate(rows)
        tallies = self.tallies(rows, found)
        values = {f"{self.role}_{kind}": score(tallies["prediction"], kind) for kind in ("wa", "ua")}
        values[f"{self.role}_wer"] = score(tallies["words"], "wer")
        if "speaker" in tallies:
            values[f"{self.role}_speaker_wa"] = score(tallies["speaker"], "wa")
        return values

    @torch.no_grad()
    def evaluate(self, rows: IntArray) -> Evaluated:
        """Return what the network says of utterances; what is said of one does not hang on the others.

        Where padding is in the mean, each is run alone.
        """
        self.network.eval()
        size = self.options.training.batch_size if self.options.pool == "masked_mean" else 1
        parts: list[tuple[IntArray, FloatArray, list[str], FloatArray | None, FloatArray]] = []
        for places in ordered_batches(self.data.n_samples[rows], size):
            batch = self._make(rows[places])
            with self._autocast():
                found = self.network(batch.waveforms, batch.n_samples)
            best = found.symbols.float().argmax(2).cpu().tolist()
            heard = [
                self.data.spelling.read(symbols[:n]) for symbols, n in zip(best, found.n_frames.tolist(), strict=True)
            ]
            speakers = None if found.speaker is None else found.speaker.float().cpu().numpy()
            probabilities = torch.softmax(found.emotion.double(), dim=1).cpu().numpy()
            parts.append((places, probabilities, heard, speakers, found.pooled.float().cpu().numpy()))
        order = np.argsort(np.concatenate([part[0] for part in parts]))
        said = [words for part in parts for words in part[2]]
        named = [part[3] for part in parts if part[3] is not None]
        return Evaluated(
            np.concatenate([part[1] for part in parts])[order],
            [said[place] for place in order],
            np.concatenate(named)[order] if named else None,
            np.concatenate([part[4] for part in parts])[order],
        )

    def tallies(self, rows: IntArray, found: Evaluated) -> dict[str, Tally]:
        """Return hits and totals by what was predicted: emotion, words, and the speakers that training knows."""
        edits = self.word_errors(rows, found)
        tallies = {
            "prediction": tally(self.data.examples.targets[rows], found.probabilities.argmax(1)),
            "words": _of_words(edits),
        }
        known = self.numbers[rows] >= 0
        if found.speakers is not None and known.any():
            targets = np.eye(found.speakers.shape[1])[self.numbers[rows][known]]
            tallies["speaker"] = tally(targets, found.speakers[known].argmax(1))
        return tallies

    def word_errors(self, rows: IntArray, found: Evaluated) -> IntArray:
        """Return edits and words of each utterance, ``(n, 2)``."""
        counted = (count_errors(self.data.texts[row], said) for row, said in zip(rows, found.heard, strict=True))
        return np.array([(errors.word_edits, errors.words) for errors in counted], dtype=np.int64).reshape(-1, 2)

    def _epoch(self, epoch: int) -> list[IntArray]:
        """Return the batches of an epoch, as places among the utterances of training."""
        generator = numpy_generator("batches", *self.names, epoch)
        size, lengths = self.options.training.batch_size, self.data.n_samples[self.rows.train]
        if self.options.training.bucketing:
            return bucketed_batches(lengths, size, generator)
        return shuffled_batches(len(lengths), size, generator)

    def _make(self, rows: IntArray) -> Batch:
        return make_batch(self.data, rows, self.numbers, self.device)

    def _autocast(self) -> Any:
        return autocast(self.device, self.options.training.precision)()


def warm_up_and_decay(updates: int, training: TrainingOptions) -> Rate:
    """Return the learning rate's factor: a linear rise from 0 over a share of the updates, then a linear fall to 0."""
    rise = math.ceil(training.warmup * updates)

    def rate(update: int, history: Sequence[Mapping[str, float]]) -> float:
        return update / rise if update < rise else (updates - update) / max(1, updates - rise)

    return rate


def train_fit(cell: Cell, data: CellData, options: Options, rows: FoldRows, checkpoint: Checkpoint) -> FitResult:
    """Train on a fold, and test the last update; what the best evaluation reaches is counted beside it.

    Raises
    ------
    TrainingError
        If the fit cannot start or go on.
    """
    where = f"{' '.join(cell)}, run {rows.fit.run}, fold {rows.fit.fold}"
    targets = data.examples.targets
    require_every_class(
        targets[rows.train], data.classes, f"{where}: no training utterance",
        "leave that class out (speakernorm.emotions), or take other folds (speakernorm.folds)",
    )  # fmt: skip
    # cases are compared on the same first weights and batches
    names = (cell.corpus, cell.folds, *rows.fit)
    device = usable_device(options.training.device, options.training.precision, "speakernorm.training")
    seed_torch("weights", *names)
    speakers = sorted({data.speakers[row] for row in rows.train})
    number = {name: index for index, name in enumerate(speakers)}
    numbers = np.array([number.get(name, -1) for name in data.speakers])
    backbone = load_network("wav2vec2", data.weights, device.type, options.fine_tune)
    assert isinstance(backbone, Wav2Vec2)
    n_frames = backbone.n_frames(torch.from_numpy(np.array(data.n_samples[rows.train]))).numpy()
    require_room(data, rows.train, n_frames)
    backbone.checkpoint_gradients(options.training.checkpointing)
    n_speakers = None if cell.case == BASELINE else len(speakers)
    network = SpeakerNormNetwork(
        backbone, options, len(data.classes), len(data.spelling.symbols), n_speakers
    ).to(device)  # fmt: skip
    learner = CaseLearner(network, options, data, rows, numbers, device, names)
    untrained = learner.evaluate(rows.train).vectors if options.probe else None
    training = options.training
    optimizer = Adam(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        training.learning_rate,
        betas=training.betas,
        eps=training.epsilon,
        weight_decay=training.weight_decay,
    )
    schedule = Schedule(
        learner.periods,
        select=f"{learner.role}_wa",
        accumulate=training.accumulate,
        clip_norm=training.clip_norm,
        rate=warm_up_and_decay(learner.updates, training),
    )
    fitted = fit(learner, {"main": optimizer}, schedule, name=where, seed=seed_from(*names), checkpoint=checkpoint)
    best = learner.evaluate(rows.test)
    network.load_state_dict(fitted.last)
    result = _result(learner, best, untrained)
    log.info(
        "%s: test accuracy %.3f, WER %.3f",
        where,
        score(result.tallies["test", "prediction"], "wa"),
        score(result.tallies["test", "words"], "wer"),
    )
    # what is frozen lies in the file of its weights already
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    return result._replace(
        history=fitted.history,
        weights={name: value for name, value in fitted.last.items() if name not in frozen},
        best_period=fitted.best_period,
    )


def _result(learner: CaseLearner, best: Evaluated, untrained: FloatArray | None) -> FitResult:
    """Return what the network as it is says of the held-out sets, beside what it ``best`` said of the test."""
    data, rows = learner.data, learner.rows
    tested: list[Tested] = []
    absent: dict[tuple[str, str], str] = {}
    tallies: dict[tuple[str, str], Tally] = {}
    for role, part in (("val", rows.val), ("test", rows.test)):
        if not len(part):
            continue
        found = learner.evaluate(part)
        more = {"best_prediction": _named(data, best)} if role == "test" else {}
        tested.append(_tested(learner, role, part, found, more))
        tallies |= {(role, what): counted for what, counted in learner.tallies(part, found).items()}
        if (role, "speaker") not in tallies:
            absent[role, "speaker"] = NO_HEAD if found.speakers is None else NOT_IN_TRAINING
        if role == "test":
            parts, why_not = _parts_of_test(learner, part, found)
            tallies |= parts
            absent |= why_not
    of_best = learner.tallies(rows.test, best)
    tallies["test", "best"], tallies["test", "best_words"] = of_best["prediction"], of_best["words"]
    if untrained is not None:
        read = {"speaker": learner.evaluate(rows.train).vectors, "untrained_speaker": untrained}
        said_by = [data.speakers[row] for row in rows.train]
        probes, why_not = speaker_probes(read, said_by, seed_from("probe", *rows.fit))
        tallies |= probes
        absent |= why_not
    counts = counts_of(data.examples.targets, data.classes, rows)
    return FitResult(
        fit=rows.fit,
        tested=tested,
        tallies={**tallies_of(data.examples.targets, rows, tested), **tallies},
        counts={role: found for role, found in counts.items() if any(found.values())},
        history=[],
        weights={},
        best_period=0,
        n_parameters=count_parameters(learner.network),
        absent=absent,
    )


def _named(data: CellData, found: Evaluated) -> list[str]:
    return [data.classes[index] for index in found.probabilities.argmax(1)]


def _tested(
    learner: CaseLearner, role: str, rows: IntArray, found: Evaluated, more: Mapping[str, Sequence[Any]]
) -> Tested:
    data = learner.data
    edits = learner.word_errors(rows, found)
    columns: dict[str, Sequence[Any]] = {
        "speaker": [data.speakers[row] for row in rows],
        "transcript": [data.texts[row] for row in rows],
        "heard": found.heard,
        "edits": edits[:, 0].tolist(),
        "words": edits[:, 1].tolist(),
        **more,
    }
    utterances = [data.utterances[row] for row in rows]
    return Tested(role, utterances, data.examples.targets[rows], found.probabilities, columns)


def _parts_of_test(
    learner: CaseLearner, rows: IntArray, found: Evaluated
) -> tuple[dict[tuple[str, str], Tally], dict[tuple[str, str], str]]:
    """Return the tallies of improvised utterances, and of those whose transcript is that of no training utterance."""
    data = learner.data
    trained = {data.texts[row] for row in learner.rows.train}
    masks = {
        "improvised": np.array([data.examples.facts["style"][row] == "improvised" for row in rows], dtype=bool),
        "unseen": np.array([data.texts[row] not in trained for row in rows], dtype=bool),
    }
    why_not = {
        "improvised": "no test utterance is improvised",
        "unseen": "every transcript of the test is in training too",
    }
    edits, targets = learner.word_errors(rows, found), data.examples.targets[rows]
    tallies: dict[tuple[str, str], Tally] = {}
    absent: dict[tuple[str, str], str] = {}
    for name, mask in masks.items():
        if mask.any():
            tallies["test", name] = tally(targets[mask], found.probabilities[mask].argmax(1))
            tallies["test", f"{name}_words"] = _of_words(edits[mask])
        else:
            absent |= {("test", what): why_not[name] for what in (name, f"{name}_words")}
    return tallies, absent


def _of_words(edits: IntArray) -> Tally:
    return Tally(*(np.array([float(count)]) for count in edits.sum(0)))
