"""What a fit of the speaker-invariance paper selects, tests and normalises by; and what it never sees."""

from dataclasses import dataclass
from itertools import accumulate, permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from serflow.errors import TrainingError
from serflow.protocols.examples import Examples
from serflow.protocols.folds import FitName, FoldRows
from serflow.runs import probes as runs_probes
from serflow.studies.invariance import train
from serflow.studies.invariance.network import SpeakerNetwork
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.protocol import folds
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses
from serflow.training.metrics import Tally

CLASSES = ("anger", "sadness")


@dataclass
class Frames:
    """Frames in memory, as `VoicedFrames` are."""

    values: list

    @property
    def lengths(self):
        return np.array([len(frames) for frames in self.values])

    @property
    def dim(self):
        return self.values[0].shape[1]

    def __getitem__(self, row):
        return self.values[row]

    def take(self, rows):
        return Frames([self.values[row] for row in rows])


def made_up(speakers, emotions, frames, **options):
    """What a fit reads of a cell: utterances by speaker and class, and options."""
    changed = {
        "style": "all",
        "model": {"tdnn": [[4, 2, 1]], "lstm": 3, "fc": 4, "head": 4},
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": 0.05, "device": "cpu"},
        **options,
    }
    names = [f"u{row:02d}" for row in range(len(speakers))]
    targets = np.eye(2)[[CLASSES.index(name) for name in emotions]]
    examples = Examples("toy", names, CLASSES, targets, {"speaker": list(speakers)}, {})
    return SimpleNamespace(
        examples=examples,
        classes=CLASSES,
        utterances=names,
        speakers=list(speakers),
        frames=Frames(frames),
        options=Options.model_validate(changed),
    )


@pytest.fixture(autouse=True)
def probes(monkeypatch):
    """Probes tell the second value of the first vector that they are given, and how many there are."""
    monkeypatch.setattr(
        runs_probes,
        "probe_tally",
        lambda vectors, *others: Tally(vectors[:1, 1].astype(float), np.array([float(len(vectors))])),
    )


def fitted(data, rows, folder, system="ser_only"):
    cell = train.Cell(system, "toy", "main")
    return train.train_fit(cell, data, data.options, rows, Checkpoint(folder / "fit.pt", "key"))


# A network whose answers are written down: which utterances it gets right after each epoch

N_TRAIN = 8
ROWS = FoldRows(
    FitName(0, "x"), np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + 4), np.arange(N_TRAIN + 4, N_TRAIN + 8)
)
SAID = (
    ["anger", "sadness"] * (N_TRAIN // 2)
    + ["anger", "anger", "anger", "sadness"]
    + ["anger", "sadness", "sadness", "sadness"]
)
VAL_RIGHT = ["1001", "1110", "1101", "1000"]
TEST_RIGHT = ["1111", "1001", "0111", "1000"]
BEST = 1
"""Epochs 1 and 2 are the best by accuracy, 2 alone by UA; 0 would be on the test speakers, and 3 is the last."""
LEARNING_RATE, MOMENTUM = 0.5, 0.25


class Scripted(nn.Module):
    """Reads the number of an utterance off its frames; how many epochs it has begun is kept with its weights."""

    def __init__(self, options, in_dim, n_classes, n_speakers):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("epochs", torch.zeros(()))
        self.trained_on = []

    def embed(self, frames, lengths, n_valid=None):
        assert not self.training
        return torch.stack([frames[:, 0, 0], self.epochs.expand(len(frames))], dim=1)

    def emotion(self, embeddings):
        said = torch.tensor([CLASSES.index(name) for name in SAID])
        rows, epoch = embeddings[:, 0].long(), int(self.epochs) - 1
        right = torch.tensor([answer == "1" for answer in "1" * N_TRAIN + VAL_RIGHT[epoch] + TEST_RIGHT[epoch]])
        return torch.eye(2)[torch.where(right, said, 1 - said)[rows]]


class System:
    """Moves the weight by a gradient of -1, and counts epochs."""

    def __init__(self):
        self.progress, self.trained_on = [], [[]]

    def start(self, network, progress, options):
        network.epochs += 1
        self.progress.append(progress)
        self.trained_on.append([])
        return {"share": progress}

    def losses(self, network, batch, options):
        self.trained_on[-1] += batch.frames[:, 0, 0].int().tolist()
        return Losses(-network.weight, {}, len(batch.lengths))


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """The result of a fit of the scripted network, and its system."""
    system = System()
    monkeypatch.setattr(train, "SpeakerNetwork", Scripted)
    monkeypatch.setattr(train, "load_system", lambda name: system)
    speakers = ["s0", "s1"] * (N_TRAIN // 2) + ["val"] * 4 + ["test"] * 4
    training = {"epochs": 4, "batch_size": 4, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM, "device": "cpu"}
    frames = [np.full((3, 2), row, dtype=np.float32) for row in range(len(SAID))]
    data = made_up(speakers, SAID, frames, cmvn="none", training=training)
    return SimpleNamespace(result=fitted(data, ROWS, tmp_path), system=system)


def hits(result, role, what):
    tally = result.tallies[role, what]
    return tally.hits.tolist(), tally.totals.tolist()


def test_the_first_epoch_of_the_highest_accuracy_on_validation_speakers_is_kept(scripted):
    history = scripted.result.history
    assert [row["val_wa"] for row in history] == [0.5, 0.75, 0.75, 0.25]
    assert [row["val_ua"] for row in history] == pytest.approx([2 / 3, 1 / 2, 5 / 6, 1 / 6])
    assert scripted.result.best_period == BEST
    assert scripted.result.weights["epochs"] == BEST + 1


def test_validation_and_test_speakers_are_told_by_the_best_epoch(scripted):
    result = scripted.result
    assert hits(result, "val", "prediction") == ([3, 0], [3, 1])
    assert hits(result, "test", "prediction") == ([1, 1], [1, 3])
    for part, right in zip(result.tested, (VAL_RIGHT[BEST], TEST_RIGHT[BEST]), strict=True):
        rows = getattr(ROWS, part.role)
        assert part.utterances == [f"u{row:02d}" for row in rows]
        correct = (part.targets * part.probabilities).sum(1) > 0.5
        assert correct.tolist() == [answer == "1" for answer in right]
        assert part.vectors.tolist() == [[row, BEST + 1] for row in rows]
        assert set(part.more["speaker"]) == {part.role}


def test_the_last_epoch_is_scored_on_test_speakers_beside_the_best(scripted):
    assert hits(scripted.result, "test", "last") == ([1, 0], [1, 3])


def test_probes_read_the_best_and_the_first_weights_on_utterances_of_training(scripted):
    assert hits(scripted.result, "probe", "speaker") == ([BEST + 1], [N_TRAIN])
    assert hits(scripted.result, "probe", "untrained_speaker") == ([0], [N_TRAIN])


def test_guesses_are_scored_on_validation_and_test_speakers(scripted):
    """Classes are even in training: of two largest the first is said."""
    for role, of_class in (("val", [3, 1]), ("test", [1, 3])):
        assert hits(scripted.result, role, "majority") == ([of_class[0], 0], of_class)
        assert hits(scripted.result, role, "chance") == ([n / 2 for n in of_class], of_class)


def test_every_epoch_trains_on_each_utterance_of_training_once(scripted):
    before, *epochs = scripted.system.trained_on
    assert before == []
    assert [sorted(rows) for rows in epochs] == [list(range(N_TRAIN))] * 4
    assert epochs[0] != epochs[1]
    assert scripted.system.progress == [0, 1 / 4, 2 / 4, 3 / 4]
    assert [row["share"] for row in scripted.result.history] == scripted.system.progress


def test_weights_move_by_nesterovs_rule(scripted):
    """Section 3.2: of a gradient of -1 the velocity is 1, 1 + m, 1 + m + m^2, ..., and a step r (1 + m velocity)."""
    n_updates = 2 * (BEST + 1)
    velocities = accumulate(range(n_updates - 1), lambda velocity, _: MOMENTUM * velocity + 1, initial=1.0)
    expected = sum(LEARNING_RATE * (1 + MOMENTUM * velocity) for velocity in velocities)
    assert float(scripted.result.weights["weight"]) == pytest.approx(expected, rel=1e-6)
    assert scripted.result.history[BEST]["updates"] == n_updates


# What a fit never sees

SPEAKERS = [name for name in ("a", "b", "c", "val", "test") for _ in range(6)]
PARTS = FoldRows(FitName(0, "x"), np.arange(18), np.arange(18, 24), np.arange(24, 30))


def planted(role=None, **options):
    """Five speakers of six utterances; frames and classes of those of a role are others."""
    generator = np.random.default_rng(1)
    emotions = [CLASSES[row % 2] for row in range(30)]
    frames = [generator.normal(row % 2, 1, size=(int(n), 3)) for row, n in enumerate(generator.integers(4, 9, 30))]
    for row in [] if role is None else PARTS.roles()[role]:
        frames[row] = 5 - 7 * frames[row]
        emotions[row] = CLASSES[0]
    return made_up(SPEAKERS, emotions, [each.astype(np.float32) for each in frames], **options)


@pytest.mark.parametrize("system", ["ser_only", "cgt"])
def test_nothing_of_the_test_speakers_reaches_what_is_trained_and_selected(tmp_path, system):
    one, other = (fitted(planted(role), PARTS, tmp_path / str(role), system) for role in (None, "test"))
    assert one.history == other.history
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name
    np.testing.assert_array_equal(one.tested[0].probabilities, other.tested[0].probabilities)
    assert [made.tallies["test", "chance"].totals.tolist() for made in (one, other)] == [[3, 3], [6, 0]]


def test_validation_speakers_are_in_no_loss(tmp_path):
    one, other = (fitted(planted(role), PARTS, tmp_path / str(role)) for role in (None, "val"))
    assert [row["loss"] for row in one.history] == [row["loss"] for row in other.history]
    assert [made.tallies["val", "chance"].totals.tolist() for made in (one, other)] == [[3, 3], [6, 0]]


@pytest.mark.parametrize("role", [None, "val", "test"])
def test_frames_of_training_are_normalised_by_their_own_statistics(tmp_path, monkeypatch, role):
    read = {True: [], False: []}

    class Reading(SpeakerNetwork):
        def embed(self, frames, lengths, n_valid=None):
            read[self.training] += [frames[row, :length].numpy() for row, length in enumerate(lengths)]
            return super().embed(frames, lengths)

    monkeypatch.setattr(train, "SpeakerNetwork", Reading)
    data = planted(role, training={"epochs": 1, "batch_size": 4, "device": "cpu"})
    fitted(data, PARTS, tmp_path)
    raw = np.concatenate([data.frames[row] for row in PARTS.train]).astype(np.float64)
    trained = np.concatenate(read[True])
    assert len(trained) == len(raw)
    np.testing.assert_allclose(trained.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(trained.std(0), 1, atol=1e-5)
    expected = (data.frames[int(PARTS.test[0])] - raw.mean(0)) / raw.std(0)
    assert any(len(each) == len(expected) and np.allclose(each, expected, atol=1e-4) for each in read[False])


@pytest.mark.parametrize(("one", "other"), list(permutations(["train", "val", "test"], 2)))
def test_a_speaker_in_any_two_sets_is_refused(one, other):
    names = ["a", "b", "c", "d", "e", "e"]
    roles = np.array(["train", "train", "val", "test", one, other])
    with pytest.raises(TrainingError, match="speaker e is in two sets"):
        list(folds(names, {0: {"x": roles}}))
