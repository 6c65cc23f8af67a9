"""What a fit of the temporal-context paper selects, tests and draws; what it never sees; what is left of it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from made_up_runs import STAND_IN_WEIGHTS, SYNTHETIC, write_cell
from serflow.backbones.base import load_network as load_backbone
from serflow.backbones.wav2vec import write_stand_in
from serflow.backbones.weights import describe_files
from serflow.errors import StoreError, TrainingError
from serflow.files import write_sealed_json
from serflow.protocols.examples import Examples
from serflow.protocols.folds import FitName, FoldRows
from serflow.report.comparison import words_beside_paper
from serflow.report.tables import read_published_words
from serflow.stores.pulses import CorpusPulses, PulseRow
from serflow.stores.waveforms import PackedWaveforms
from serflow.studies.temporal import networks, train
from serflow.studies.temporal.catalog import SYSTEMS, Cell, load_network
from serflow.studies.temporal.data import CellData
from serflow.studies.temporal.options import Options, TrainingOptions
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses
from serflow.training.seeds import reproducible

CLASSES = ("anger", "sadness")
TRAINING = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "device": "cpu"}
SMALL = {
    "augment": {"crop_s": 0.15},
    "framing": {"n_mels": 20},
    "strfnet": {"kernels": 1, "channels": 2, "embedding": 4, "attention": 3, "hidden": 4},
    "segment_net": {"maps": 4, "lstm": 2, "lstm_layers": 1, "hidden": 4, "segments": 1},
    "training": TRAINING,
}


def options(**changes):
    return Options.model_validate({**SMALL, **changes})


def cell_data(speakers, emotions, audio, pulses=False, weights=None):
    """Return what a fit reads of a cell: utterances by speaker and class, and their audio, int16."""
    names = [f"u{row:02d}" for row in range(len(speakers))]
    lengths = np.array([len(samples) for samples in audio])
    waveforms = PackedWaveforms(
        np.concatenate(audio).astype(np.int16), names, np.cumsum(lengths) - lengths, lengths, {"sample_rate": 16_000}
    )
    targets = np.eye(2)[[CLASSES.index(name) for name in emotions]]
    every = np.arange(len(names))
    found = CorpusPulses([PulseRow(name, n, np.arange(0, n, 150)) for name, n in zip(names, lengths, strict=True)], {})
    return CellData(
        Examples("toy", names, CLASSES, targets, {"speaker": list(speakers)}, {}), waveforms, every,
        found if pulses else None, every if pulses else None, {}, None, weights,
    )  # fmt: skip


def fitted(data, rows, folder, system="spectrogram", corpus="toy", variant="plain", kind=Checkpoint, **changes):
    """Train and test a row as the stage does."""
    with reproducible():
        own = options(**changes)
        return train.train_fit(Cell(system, corpus, variant), data, own, rows, kind(folder / "fit.pt", "key"))


class Killed(Checkpoint):
    """Writes the state of some epochs, and then the process is killed."""

    epochs = 1

    def save(self, state):
        super().save(state)
        if len(state["history"]) == self.epochs:
            raise KeyboardInterrupt


# A network whose answers are written down: which utterances it gets right after each epoch

N_TRAIN = 9
PER_EPOCH = 2
"""Batches of four, and of five: none of one."""
ROWS = FoldRows(
    FitName(0, "x"), np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + 4), np.arange(N_TRAIN + 4, N_TRAIN + 8)
)
SAID = (
    ["anger", "sadness"] * 3 + ["anger"] * 3
    + ["anger", "anger", "anger", "sadness"]
    + ["anger", "sadness", "sadness", "sadness"]
)  # fmt: skip
SPEAKERS = ["s0"] * 5 + ["s1"] * 4 + ["val"] * 4 + ["test"] * 4
VAL_RIGHT = ["1001", "1110", "1101", "0111", "1000", "0001", "0000", "0010"]
TEST_RIGHT = ["1111", "1001", "0111", "1101", "1000", "1110", "0000", "1011"]
BEST = 2
"""Epochs 2 and 3 are the best by UA, 1 and 2 by accuracy; 0 would be on the test speakers, and 7 is the last."""
LENGTHS = [300 + 11 * row for row in range(len(SAID))]
SCRIPT = {"epochs": 8, "batch_size": 4, "learning_rate": 0.5, "plateau_patience": 1, "patience": 9, "device": "cpu"}


class Scripted(nn.Module):
    """Knows an utterance by its samples; how many batches it was trained on is kept with its weights."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Identity()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("updates", torch.zeros(()))


class Method:
    """Moves the weight by a gradient of -1, and notes what it is given."""

    def __init__(self):
        self.first, self.batches, self.noise, self.steps, self.class_weights, self.tested = [], [], [], [], [], []

    def build(self, info, options, n_classes, weights, device):
        self.first.append(torch.rand(()).item())
        return Scripted()

    def losses(self, network, batch, weights):
        assert network.training
        network.updates += 1
        self.batches.append(batch)
        self.noise.append(torch.rand(()).item())
        self.steps.append(network.weight.item())
        self.class_weights.append(weights)
        return Losses(-network.weight, {}, len(batch.targets))

    def classify(self, network, batch):
        assert not network.training
        rows = (batch.waveforms[:, 0] * 32768).round().long()
        self.tested += list(zip(rows.tolist(), batch.n_samples.tolist(), strict=True))
        said = torch.tensor([CLASSES.index(name) for name in SAID])
        epoch = int(network.updates) // PER_EPOCH - 1
        right = torch.tensor([answer == "1" for answer in "1" * N_TRAIN + VAL_RIGHT[epoch] + TEST_RIGHT[epoch]])
        return torch.eye(2)[torch.where(right, said, 1 - said)[rows]]

    def trained_on(self):
        """Return the utterances of each epoch, in order."""
        of_batches = [(batch.waveforms[:, 0] * 32768).round().int().tolist() for batch in self.batches]
        return [[*one, *other] for one, other in zip(of_batches[::2], of_batches[1::2], strict=True)]


@pytest.fixture
def method(monkeypatch):
    found = Method()
    monkeypatch.setattr(train, "load_network", lambda name: found)
    return found


def scripted(folder, **changes):
    """Fit the scripted network."""
    audio = [np.full(n, row) for row, n in enumerate(LENGTHS)]
    own = {"training": SCRIPT, "augment": {"crop_s": 0.02, "gain_db": [0, 0]}, **changes}
    return fitted(cell_data(SPEAKERS, SAID, audio), ROWS, folder, **own)


def hits(result, role, what):
    tally = result.tallies[role, what]
    return tally.hits.tolist(), tally.totals.tolist()


def test_the_first_epoch_of_the_highest_ua_on_validation_speakers_is_kept(method, tmp_path):
    result = scripted(tmp_path)
    history = result.history
    assert [row["val_ua"] for row in history] == pytest.approx([2 / 3, 1 / 2, 5 / 6, 5 / 6, 1 / 6, 1 / 2, 0, 1 / 6])
    assert [row["val_wa"] for row in history] == [0.5, 0.75, 0.75, 0.75, 0.25, 0.25, 0, 0.25]
    assert result.best_period == BEST
    assert result.weights["updates"] == PER_EPOCH * (BEST + 1)
    assert float(result.weights["weight"]) == pytest.approx(method.steps[PER_EPOCH * (BEST + 1)])
    assert result.n_parameters == 1


def test_validation_and_test_speakers_are_told_by_the_best_epoch(method, tmp_path):
    result = scripted(tmp_path)
    assert [part.role for part in result.tested] == ["val", "test"]
    assert hits(result, "val", "prediction") == ([2, 1], [3, 1])
    assert hits(result, "test", "prediction") == ([0, 3], [1, 3])
    for part, right in zip(result.tested, (VAL_RIGHT[BEST], TEST_RIGHT[BEST]), strict=True):
        assert part.utterances == [f"u{row:02d}" for row in getattr(ROWS, part.role)]
        correct = (part.targets * part.probabilities).sum(1) > 0.5
        assert correct.tolist() == [answer == "1" for answer in right]
        assert set(part.more["speaker"]) == {part.role}
    assert set(method.tested) == {(row, LENGTHS[row]) for row in (*ROWS.val, *ROWS.test)}


def test_guesses_are_scored_and_utterances_counted(method, tmp_path):
    result = scripted(tmp_path)
    for role, of_class in (("val", [3, 1]), ("test", [1, 3])):
        assert hits(result, role, "majority") == ([of_class[0], 0], of_class)
        assert hits(result, role, "chance") == ([n / 2 for n in of_class], of_class)
    assert result.counts == {
        "train": {"anger": 6, "sadness": 3}, "val": {"anger": 3, "sadness": 1}, "test": {"anger": 1, "sadness": 3}
    }  # fmt: skip


def test_every_epoch_trains_on_each_utterance_of_training_once(method, tmp_path):
    scripted(tmp_path)
    epochs = method.trained_on()
    assert [sorted(rows) for rows in epochs] == [list(range(N_TRAIN))] * len(VAL_RIGHT)
    assert len({tuple(rows) for rows in epochs}) == len(VAL_RIGHT)
    assert [len(batch.targets) for batch in method.batches[:PER_EPOCH]] == [4, 5]


def test_training_ends_after_epochs_without_a_better_ua(method, tmp_path):
    result = scripted(tmp_path, training={**SCRIPT, "patience": 2})
    assert len(result.history) == BEST + 1 + 2
    assert len(scripted(tmp_path / "sooner", training={**SCRIPT, "patience": 1}).history) == 2


def test_classes_weigh_inversely_to_their_utterances_of_training(method, tmp_path):
    """6 and 3 utterances: 2/3 and 4/3, whose mean is 1; with those of validation and test it would be 10 and 7."""
    scripted(tmp_path)
    for weights in method.class_weights:
        np.testing.assert_allclose(weights, [2 / 3, 4 / 3], rtol=1e-6)
    found = train.inverse_weights(np.eye(3)[[0] * 6 + [1] * 2 + [2] * 3])
    np.testing.assert_allclose(found, np.array([1, 3, 2]) / 2, rtol=1e-6)
    assert found.dtype == torch.float32


def test_a_class_that_no_training_utterance_has_is_refused(method, tmp_path):
    emotions = ["anger"] * N_TRAIN + SAID[N_TRAIN:]
    data = cell_data(SPEAKERS, emotions, [np.full(n, row) for row, n in enumerate(LENGTHS)])
    with pytest.raises(TrainingError, match=r"spectrogram toy plain, run 0, fold x: no training utterance is sadness"):
        fitted(data, ROWS, tmp_path)


# The learning rate


def on_plateaus(values, patience, factor):
    """Return the factor of the learning rate of each epoch, and of the one after them, by torch's own schedule."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], 1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor, patience, threshold=0.0, eps=0.0)
    rates = [1.0]
    for value in values:
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("factor", [0.5, 0.1])
def test_the_learning_rate_falls_at_the_epochs_at_which_torchs_own_does(patience, factor):
    rate = train.plateau(TrainingOptions(plateau_factor=factor, plateau_patience=patience))
    generator = np.random.default_rng(0)
    for _ in range(20):
        # few values, so that many are as good as the best
        values = (generator.integers(1, 5, 40) / 4).tolist()
        history = [{"val_ua": value, "val_wa": -value, "loss": value} for value in values]
        found = [rate(0, history[:n]) for n in range(len(history) + 1)]
        assert found == pytest.approx(on_plateaus(values, patience, factor))
        assert len(set(found)) > 2
    assert rate(0, [{"val_ua": 0.0}] * (patience + 1)) == 1
    assert rate(0, [{"val_ua": 0.0}] * (patience + 2)) == factor


def test_weights_move_by_adam_at_the_rate_of_the_plateaus(method, tmp_path):
    """Under a constant gradient a step of Adam is as long as the rate."""
    result = scripted(tmp_path)
    steps = np.diff(method.steps)
    epochs = (np.arange(len(steps)) // PER_EPOCH).tolist()
    rates = on_plateaus([row["val_ua"] for row in result.history], SCRIPT["plateau_patience"], 0.5)
    assert rates[:-1] == [1, 1, 1, 1, 1, 0.5, 0.5, 0.25]
    np.testing.assert_allclose(steps, [SCRIPT["learning_rate"] * rates[epoch] for epoch in epochs], rtol=1e-5)


# Draws


def drawn(method, folder, **changes):
    """Return what a fit draws: initial weights, order, crops and their gain, and noise within a network."""
    first = len(method.batches)
    audio = [np.random.default_rng(row).integers(-9000, 9000, 1000) for row in range(len(SAID))]
    fit = changes.pop("fit", ROWS.fit)
    own = {"training": {**SCRIPT, "epochs": 2}, "augment": {"crop_s": 0.02}, **changes}
    method.classify = lambda network, batch: torch.eye(2)[[0] * len(batch.targets)]
    fitted(cell_data(SPEAKERS, SAID, audio), ROWS._replace(fit=fit), folder, **own)
    waveforms = torch.cat([batch.waveforms for batch in method.batches[first:]])
    return [method.first[-1], *method.noise[first:], waveforms]


def same(one, other):
    return [torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(one, other, strict=True)]


def test_rows_of_a_corpus_run_and_fold_draw_alike(method, tmp_path):
    """So that they differ by what they are: the system, its variant, its sizes."""
    one = drawn(method, tmp_path / "one")
    for number, changes in enumerate([
        {"variant": "warp", "warped": True},
        {"system": "modulation"},
        {"system": "wav2vec", "variant": "context-2"},
        {"system": "segment_net_on_mel", "segment_net": {"hidden": 3}},
    ]):  # fmt: skip
        assert all(same(one, drawn(method, tmp_path / str(number), **changes))), changes


@pytest.mark.parametrize("other", [{"corpus": "emodb"}, {"fit": FitName(1, "x")}, {"fit": FitName(0, "y")}])
def test_corpora_runs_and_folds_draw_their_own(method, tmp_path, other):
    assert not any(same(drawn(method, tmp_path / "one"), drawn(method, tmp_path / "other", **other)))


def test_crops_are_drawn_anew_in_every_epoch(method, tmp_path):
    order = drawn(method, tmp_path)[-1]
    first, second = ({tuple(crop.tolist()) for crop in order[at : at + N_TRAIN]} for at in (0, N_TRAIN))
    assert len(first) == len(second) == N_TRAIN
    assert not first & second


# Tests on crops


def test_values_of_crops_are_averaged_by_utterance():
    values = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    found = train.means_of(values, np.array([2, 0, 2, 1]), 3)
    np.testing.assert_array_equal(found, [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]])


def test_an_utterance_is_tested_whole_or_by_the_mean_over_its_crops(method, tmp_path):
    """A crop says how high its first sample is; they come in batches that utterances do not end with."""
    lengths = [300, 320, 900, 321, 1700, 640, 100, 961]
    audio = [np.random.default_rng(row).integers(-20_000, 20_000, n) for row, n in enumerate(lengths)]
    data = cell_data(["a"] * 8, ["anger"] * 8, audio)
    method.classify = lambda network, batch: torch.stack([4 * batch.waveforms[:, 0], batch.n_samples / 320], dim=1)
    rows = np.array([5, 0, 4, 1, 7, 2, 6, 3])

    def said(samples):
        logits = np.array([4 * samples[0] / 32768, len(samples) / 320])
        return np.exp(logits) / np.exp(logits).sum()

    for test, crops_of in (
        ("full", lambda samples: [samples]),
        ("crops_mean", lambda samples: [*(samples[at : at + 320] for at in range(0, len(samples) - 320, 320)),
                                        samples[-320:]]),
    ):  # fmt: skip
        own = options(test=test, augment={"crop_s": 0.02}, training={**TRAINING, "batch_size": 3})
        learner = train.RowLearner(
            Scripted(), method, SYSTEMS["spectrogram"], own, data, ROWS, torch.ones(2), torch.device("cpu"), ("toy",)
        )
        expected = [np.mean([said(crop) for crop in crops_of(audio[row])], axis=0) for row in rows]
        np.testing.assert_allclose(learner.classify(rows), expected, rtol=1e-5)


# What a fit never sees

PARTS = FoldRows(FitName(0, "x"), np.arange(9), np.arange(9, 15), np.arange(15, 21))
PEOPLE = ["a"] * 5 + ["b"] * 4 + ["val"] * 6 + ["test"] * 6


def planted(role=None, **others):
    """Four speakers; audio and classes of those of a role are others."""
    generator = np.random.default_rng(1)
    emotions = [CLASSES[row % 2] for row in range(len(PEOPLE))]
    audio = [
        (3000 * np.sin(np.arange(n) * (0.05 + 0.2 * (row % 2))) + generator.normal(0, 900, n)).round()
        for row, n in enumerate(generator.integers(1800, 4000, len(PEOPLE)))
    ]
    for row in [] if role is None else PARTS.roles()[role]:
        audio[row] = audio[row][::-1] * 2
        emotions[row] = CLASSES[0]
    return cell_data(PEOPLE, emotions, audio, **others)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """Small wav2vec."""
    return write_stand_in(tmp_path_factory.mktemp("wav2vec"), seed=0)


def of_system(system, stand_in, role=None):
    info = SYSTEMS[system]
    return planted(role, pulses=info.reads_pulses(), weights=stand_in if info.reads == "wav2vec" else None)


@pytest.mark.parametrize("system", ["all_three", "segment_net_on_mel"])
def test_nothing_of_the_test_speakers_reaches_what_is_trained_and_selected(tmp_path, system):
    one, other = (fitted(of_system(system, None, role), PARTS, tmp_path / str(role), system) for role in (None, "test"))
    assert one.history == other.history
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name
    np.testing.assert_array_equal(one.tested[0].probabilities, other.tested[0].probabilities)
    assert (one.tested[1].probabilities != other.tested[1].probabilities).all()
    assert [made.tallies["test", "chance"].totals.tolist() for made in (one, other)] == [[3, 3], [6, 0]]


def test_validation_speakers_are_in_no_loss(tmp_path):
    one, other = (fitted(planted(role), PARTS, tmp_path / str(role)) for role in (None, "val"))
    assert [row["loss"] for row in one.history] == [row["loss"] for row in other.history]
    assert len({row["loss"] for row in one.history}) == TRAINING["epochs"]
    assert [made.tallies["val", "chance"].totals.tolist() for made in (one, other)] == [[3, 3], [6, 0]]


def test_a_plain_classifier_is_fitted_on_training_speakers_alone(tmp_path):
    """All others, who are more, have the wrong classes."""
    data, rows = planted(), PARTS._replace(train=np.arange(8), val=np.arange(8, 14), test=np.arange(14, 21))
    wrong = data.examples.targets.copy()
    wrong[8:] = 1 - wrong[8:]
    other = replace(data, examples=data.examples._replace(targets=wrong))
    results = [fitted(each, rows, tmp_path, "svc") for each in (data, other)]
    for one, changed in zip(*(result.tested for result in results), strict=True):
        np.testing.assert_array_equal(one.probabilities, changed.probabilities)
        # what differs by class is plain to hear
        assert (one.probabilities * one.targets).sum() > (changed.probabilities * changed.targets).sum()
        assert one.utterances == [f"u{row:02d}" for row in getattr(rows, one.role)]
    assert [part.role for part in results[0].tested] == ["val", "test"]
    assert (results[0].history, results[0].weights, results[0].n_parameters) == ([], {}, 0)


# What is left of a fit


def bytes_of(folder, result, system, own):
    files = write_cell(
        folder, {"system": system, "corpus": "toy", "variant": "plain"}, [result], study="temporal", classes=CLASSES,
        options=own.as_json(SYSTEMS[system].options()),
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in files if path is not None}


@pytest.mark.parametrize(
    ("system", "changes"),
    [
        ("all_three", {"warped": True, "test": "crops_mean"}),
        ("wav2vec", {"segment_net": {**SMALL["segment_net"], "fine_tune": "context"}}),
    ],
)
def test_a_killed_fit_ends_in_the_same_bytes(stand_in, tmp_path, system, changes):
    data = of_system(system, stand_in)
    whole = fitted(data, PARTS, tmp_path / "whole", system, **changes)
    with pytest.raises(KeyboardInterrupt):
        fitted(data, PARTS, tmp_path / "killed", system, kind=Killed, **changes)
    resumed = fitted(data, PARTS, tmp_path / "killed", system, **changes)
    assert len(whole.history) == TRAINING["epochs"]
    one, other = (
        bytes_of(tmp_path / name, result, system, options(**changes)) for name, result in (("a", whole), ("b", resumed))
    )
    assert one == other
    assert set(one) == {"predictions.parquet", "history.parquet", "metrics.json", "model.safetensors"}


def test_a_killed_fit_goes_on_at_its_learning_rate(method, tmp_path, monkeypatch):
    scripted(tmp_path / "whole")
    whole, method.steps = method.steps, []
    monkeypatch.setattr(Killed, "epochs", 5)
    with pytest.raises(KeyboardInterrupt):
        scripted(tmp_path / "killed", kind=Killed)
    assert len(method.steps) == 5 * PER_EPOCH
    scripted(tmp_path / "killed")
    assert method.steps == whole


@pytest.fixture
def built(monkeypatch):
    """The networks that fits build."""
    found = []

    def load(name):
        loaded = load_network(name)

        def build(*arguments):
            found.append(loaded.build(*arguments))
            return found[-1]

        return SimpleNamespace(build=build, losses=loaded.losses, classify=loaded.classify)

    monkeypatch.setattr(train, "load_network", load)
    return found


PARTS_OF = {
    "all": {"feature_extractor", "feature_aggregator"}, "context": {"feature_aggregator"},
    "encoder": {"feature_extractor"}, "none": set(),
}  # fmt: skip


@pytest.mark.parametrize("fine_tune", PARTS_OF)
def test_what_is_frozen_of_wav2vec_keeps_its_bits_and_is_not_kept_again(stand_in, built, tmp_path, fine_tune):
    changes = {"segment_net": {**SMALL["segment_net"], "fine_tune": fine_tune}}
    result = fitted(of_system("wav2vec", stand_in), PARTS, tmp_path, "wav2vec", **changes)
    (network,) = built
    prefix = "front_end.network."
    released = {prefix + name: value for name, value in load_backbone("wav2vec", stand_in).state_dict().items()}
    assert released
    for name, value in network.state_dict().items():
        trained = name not in released or any(part in name for part in PARTS_OF[fine_tune])
        assert (name in result.weights) is trained, name
        if name in released:
            assert torch.equal(value, released[name]) is not trained, name
        if trained:
            assert torch.equal(value, result.weights[name]), name
    assert set(result.weights) <= set(network.state_dict())


# Context spans of Table 1


def write_fit(folder, stand_in, system, provenance):
    """Train a row on default frames for an epoch, and write what is left of it."""
    own = {"framing": {}, "training": {**TRAINING, "epochs": 1}}
    result = fitted(of_system(system, stand_in), PARTS, folder / system, system, **own)
    return write_cell(
        folder, {"system": system, "corpus": "toy", "variant": "plain"}, [result], study="temporal", classes=CLASSES,
        options=options(**own).as_json(SYSTEMS[system].options()), provenance=provenance,
    )  # fmt: skip


def test_context_spans_are_those_of_the_networks_that_were_trained(stand_in, tmp_path):
    """The stand-in of wav2vec sees 129.06 ms, in whole frames of 10 ms."""
    record = tmp_path / "wav2vec.json"
    described = describe_files("wav2vec", "stand-in", None, stand_in)
    write_sealed_json(record, {name: getattr(described, name) for name in described.__slots__})
    runs = [
        write_fit(tmp_path, stand_in, system, provenance)
        for system, provenance in (
            ("spectrogram", SYNTHETIC), ("pulse_modulation", SYNTHETIC), ("wav2vec", STAND_IN_WEIGHTS)
        )
    ]  # fmt: skip
    files = networks.Files(tuple(run.predictions for run in runs), tuple(run.model for run in runs), (record,))
    heading, rows = networks.make_table(files, {})
    assert [row[0].partition(" (")[0] for row in rows] == ["Spectrogram", "P. p. + Mod.", "Wav2vec"]
    assert [row[1] for row in rows] == ["75", "75-200", "130"]
    _, compared = words_beside_paper(heading, rows, read_published_words("temporal", "context"))
    assert [line[2:] for line in compared[:2]] == [["75", "75", True], ["75-200", "75-200", True]]
    with pytest.raises(StoreError, match=r"model.safetensors: its weights are not those of its options"):
        networks.rebuild(networks.read_trained(runs[0].predictions), runs[1].model, None)
    with pytest.raises(StoreError, match=r"model.safetensors: holds no weights of fit 9/a"):
        networks.rebuild(networks.read_trained(runs[0].predictions), runs[0].model, None, "9/a")
