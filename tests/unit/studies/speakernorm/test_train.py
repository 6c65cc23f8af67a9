"""What a fit of the speaker-normalisation paper trains on, evaluates and leaves; resumed; its rates and batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from serflow.backbones.wav2vec2 import write_stand_in
from serflow.errors import TrainingError
from serflow.protocols.examples import Examples
from serflow.protocols.folds import FitName, FoldRows
from serflow.stores.waveforms import PackedWaveforms
from serflow.studies.speakernorm import train
from serflow.studies.speakernorm.catalog import Cell
from serflow.studies.speakernorm.data import CellData, make_batch, require_room
from serflow.studies.speakernorm.network import Found
from serflow.studies.speakernorm.options import Options, TrainingOptions
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Fitted
from serflow.training.metrics import score
from serflow.training.seeds import reproducible
from serflow.transcripts.spelling import Spelling

CLASSES = ("anger", "sadness")
SYMBOLS = ["", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
TEXTS = ["GO ON", "STAY", "GO ON", "COME IN", "STAY", "NO", "COME IN", "GO ON", "STAY", "YES SIR", "GO ON", "STAY"]
SPEAKERS = ["a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "c", "c"]
SAID = [CLASSES[row % 2] for row in range(len(TEXTS))]
STYLES = ["improvised", "scripted"] * 6
ROWS = FoldRows(FitName(0, "x"), np.arange(8), np.array([], dtype=np.int64), np.arange(8, 12))
TRAINING = {"batch_size": 2, "accumulate": 2, "epochs": 2, "eval_updates": 3, "learning_rate": 1e-3, "device": "cpu"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return the folder of a very small wav2vec 2.0."""
    return write_stand_in(tmp_path_factory.mktemp("wav2vec2"), seed=0)


def options(**changes):
    return Options.model_validate({**changes, "training": {**TRAINING, **changes.get("training", {})}})


def cell_data(weights=None, own=None, texts=TEXTS, lengths=None):
    lengths = np.array([9_000 + 400 * row for row in range(len(texts))] if lengths is None else lengths)
    generator = np.random.default_rng(0)
    names = [f"u{row:02d}" for row in range(len(texts))]
    stored = generator.permutation(len(texts))
    waveforms = PackedWaveforms(
        generator.integers(-9_000, 9_000, lengths.sum()).astype(np.int16), [names[row] for row in stored],
        np.cumsum(lengths[stored]) - lengths[stored], lengths[stored], {"sample_rate": 16_000},
    )  # fmt: skip
    spelling = Spelling(SYMBOLS, 0)
    facts = {"speaker": SPEAKERS, "style": STYLES, "text": list(texts)}
    return CellData(
        Examples("toy", names, CLASSES, np.eye(2)[[CLASSES.index(name) for name in SAID]], facts, {}), waveforms,
        np.array([waveforms.row_of[name] for name in names]), list(texts), [spelling.spell(text) for text in texts],
        spelling, {}, (0,), own or options(), weights,
    )  # fmt: skip


def fitted(weights, folder, case="reverse-1", rows=ROWS, kind=Checkpoint, **changes):
    """Train and test a case as the stage does."""
    beta = {"speaker": {"beta": 1.0}} if case != "baseline" else {}
    own = options(**{**beta, **changes})
    with reproducible():
        cell = Cell(case, "toy", "utterance_fold")
        return train.train_fit(cell, cell_data(weights, own), own, rows, kind(folder / "fit.pt", "key"))


class Killed(Checkpoint):
    """Writes the state of one evaluation, and then the process is killed."""

    def save(self, state):
        super().save(state)
        if len(state["history"]) == 1:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def result(weights, tmp_path_factory):
    return fitted(weights, tmp_path_factory.mktemp("whole"))


def test_a_killed_fit_goes_on_from_its_last_evaluation_to_the_same_result(weights, result, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fitted(weights, tmp_path, kind=Killed)
    again = fitted(weights, tmp_path)
    assert again.history == result.history
    assert all(torch.equal(value, result.weights[name]) for name, value in again.weights.items())
    for one, other in zip(again.tested, result.tested, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert one.more == other.more


def test_the_history_has_an_evaluation_every_so_many_updates_and_one_at_the_end(result):
    """Two epochs of four batches, two of them an update."""
    assert [row["updates"] for row in result.history] == [3, 4]
    assert {
        "loss",
        "emotion_loss",
        "ctc_loss",
        "speaker_loss",
        "test_wa",
        "test_ua",
        "test_wer",
        "test_speaker_wa",
    } <= set(result.history[0])
    for row in result.history:
        assert row["loss"] == pytest.approx(row["emotion_loss"] + 0.1 * row["ctc_loss"] + row["speaker_loss"], rel=1e-5)


def test_the_last_update_is_tested_and_the_best_evaluation_counted_beside_it(result):
    (tested,) = result.tested
    assert (tested.role, tested.utterances) == ("test", ["u08", "u09", "u10", "u11"])
    assert score(result.tallies["test", "prediction"], "wa") == result.history[-1]["test_wa"]
    assert score(result.tallies["test", "words"], "wer") == result.history[-1]["test_wer"]
    assert score(result.tallies["test", "speaker"], "wa") == result.history[-1]["test_speaker_wa"]
    best = result.history[result.best_period]
    assert (
        score(result.tallies["test", "best"], "wa") == best["test_wa"] == max(row["test_wa"] for row in result.history)
    )
    assert score(result.tallies["test", "best_words"], "wer") == best["test_wer"]
    hits = sum(np.array(tested.more["best_prediction"]) == np.array(SAID)[ROWS.test])
    assert hits == result.tallies["test", "best"].hits.sum()


def test_what_was_heard_is_counted_in_words(result):
    (tested,) = result.tested
    assert tested.more["transcript"] == TEXTS[8:]
    assert tested.more["words"] == [1, 2, 2, 1]
    assert sum(tested.more["edits"]) == result.tallies["test", "words"].hits.sum()
    assert result.tallies["test", "words"].totals.tolist() == [6]


def test_only_speakers_of_training_are_asked_for(result):
    """Two of the four test utterances are by c, of whom training has nothing."""
    assert result.tallies["test", "speaker"].totals.tolist() == [1, 1]


def test_parts_of_the_test_are_the_improvised_and_those_of_unseen_words(result):
    assert result.tallies["test", "improvised"].totals.sum() == 2
    assert result.tallies["test", "improvised_words"].totals.tolist() == [3]
    assert result.tallies["test", "unseen"].totals.sum() == 1
    assert result.tallies["test", "unseen_words"].totals.tolist() == [2]


def test_probes_read_what_the_heads_read_before_and_after_training(result):
    for what in ("speaker", "untrained_speaker", "speaker_chance"):
        assert result.tallies["probe", what].totals.sum() == 2
    assert result.tallies["probe", "speaker_chance"].hits.sum() == 1


def test_the_baseline_has_no_speaker_to_score(weights, tmp_path):
    found = fitted(weights, tmp_path, case="baseline", probe=False)
    assert ("test", "speaker") not in found.tallies
    assert found.absent["test", "speaker"] == train.NO_HEAD
    assert not any(role == "probe" for role, _ in found.tallies)
    assert "speaker_loss" not in found.history[0]


def test_a_speaker_who_is_not_in_training_is_scored_on_held_out_utterances(weights, tmp_path):
    rows = FoldRows(FitName(0, "x"), np.arange(6), np.array([6, 7]), np.array([10, 11]))
    found = fitted(weights, tmp_path, rows=rows, probe=False)
    assert [part.role for part in found.tested] == ["val", "test"]
    assert found.absent["test", "speaker"] == train.NOT_IN_TRAINING
    assert found.tallies["val", "speaker"].totals.tolist() == [1, 1]
    assert "test_speaker_wa" not in found.history[0]
    assert found.absent["test", "unseen"] == "every transcript of the test is in training too"


def test_cases_of_a_fold_begin_with_the_same_weights_and_see_the_same_batches(weights, tmp_path, monkeypatch):
    begun = []

    def noted(learner, optimizers, schedule, *, seed, **others):
        begun.append((learner.network.state_dict(), [rows.tolist() for rows in learner.epoch(1)], seed))
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", noted)
    other_run = ROWS._replace(fit=FitName(1, "x"))
    for case, rows in (("reverse-1", ROWS), ("forward-0.1", ROWS), ("baseline", ROWS), ("reverse-1", other_run)):
        with pytest.raises(KeyboardInterrupt):
            fitted(weights, tmp_path, case=case, rows=rows, probe=False)
    first, *others, again = begun
    for found in others:
        assert found[1:] == first[1:]
        assert all(torch.equal(value, first[0][name]) for name, value in found[0].items())
    assert again[1] != first[1]
    assert again[2] != first[2]
    assert not torch.equal(again[0]["emotion.weight"], first[0]["emotion.weight"])


def test_a_frozen_encoder_is_not_moved_and_not_kept(weights, tmp_path):
    found = fitted(weights, tmp_path, fine_tune="context", probe=False)
    assert not any("feature_extractor" in name for name in found.weights)
    assert any("feature_projection" in name for name in found.weights)


def test_a_class_that_no_training_utterance_has_is_refused(weights, tmp_path):
    rows = ROWS._replace(train=np.arange(0, 8, 2))
    with pytest.raises(TrainingError, match="no training utterance is sadness; leave that class out"):
        fitted(weights, tmp_path, rows=rows)


# What is evaluated


class Told(torch.nn.Module):
    """Says an utterance, which it knows by its length, in frames of its own, and Z in all that are padding."""

    def forward(self, waveforms, n_samples):
        rows = ((n_samples - 9_000) // 400).tolist()
        said = [[symbol for letter in cell_data().spelt[row] for symbol in (letter, 0)] for row in rows]
        longest = max(map(len, said)) + 3
        symbols = torch.stack([torch.eye(29)[[*frames, *[27] * (longest - len(frames))]] for frames in said])
        emotion = torch.tensor([[float(row), 0.0] for row in rows])
        speaker = torch.eye(2)[[row % 2 for row in rows]]
        return Found(emotion, symbols, torch.tensor([len(frames) for frames in said]), speaker, emotion)


@pytest.mark.parametrize("pool", ["mean", "masked_mean"])
def test_what_is_said_of_utterances_comes_in_their_order_and_from_their_own_frames(pool):
    learner = learner_of(options(pool=pool, training={"batch_size": 5}))
    learner.network = Told()
    rows = np.array([7, 2, 11, 0, 9, 3])
    found = learner.evaluate(rows)
    assert found.heard == [TEXTS[row] for row in rows]
    assert found.vectors[:, 0].tolist() == rows.tolist()
    assert found.speakers.argmax(1).tolist() == [row % 2 for row in rows]
    np.testing.assert_allclose(found.probabilities[:, 0], 1 / (1 + np.exp(-rows)))
    assert learner.word_errors(rows, found)[:, 0].tolist() == [0] * 6


def test_the_last_weights_are_tested_and_kept_and_the_best_ones_say_what_they_would(weights, tmp_path, monkeypatch):
    """The best evaluation says anger of everything, the last one sadness."""

    def scripted(learner, optimizers, schedule, **others):
        states = []
        for bias in ([-100.0, 100.0], [100.0, -100.0]):
            learner.network.emotion.bias.data = torch.tensor(bias)
            states.append({name: value.clone() for name, value in learner.network.state_dict().items()})
        return Fitted(states[1], states[0], 0, [{"period": 0, "updates": 1, "test_wa": 0.5}])

    monkeypatch.setattr(train, "fit", scripted)
    found = fitted(weights, tmp_path, probe=False)
    (tested,) = found.tested
    assert tested.more["best_prediction"] == ["anger"] * 4
    assert tested.probabilities.argmax(1).tolist() == [1] * 4
    assert found.tallies["test", "best"].hits.tolist() == [2, 0]
    assert found.tallies["test", "prediction"].hits.tolist() == [0, 2]
    assert found.weights["emotion.bias"].tolist() == [-100, 100]


# Batches of a period


def learner_of(own, n_train=7):
    network = SimpleNamespace(speaker=None, training=True)
    rows = FoldRows(FitName(0, "x"), np.arange(n_train), np.array([], dtype=np.int64), np.array([8]))
    data = cell_data()
    numbers = np.array([{"a": 0, "b": 1}.get(name, -1) for name in data.speakers])
    return train.CaseLearner(network, own, data, rows, numbers, torch.device("cpu"), ("toy", "utterance_fold", 0, "x"))


@pytest.mark.parametrize("bucketing", [False, True])
def test_periods_together_go_through_every_epoch_once(bucketing):
    """Seven utterances are four batches; three epochs are twelve, in periods of two updates of three batches."""
    own = options(training={"epochs": 3, "accumulate": 3, "eval_updates": 2, "bucketing": bucketing})
    learner = learner_of(own)
    assert (learner.per_epoch, learner.updates, learner.periods) == (4, 4, 2)
    found = [[batch.n_samples.tolist() for batch in learner.batches(period)] for period in range(learner.periods)]
    assert [len(batches) for batches in found] == [6, 6]
    batches = [batch for of_period in found for batch in of_period]
    for epoch in range(3):
        of_epoch = batches[4 * epoch : 4 * epoch + 4]
        assert sorted(n for batch in of_epoch for n in batch) == [9_000 + 400 * row for row in range(7)]


def test_the_last_period_has_what_is_left():
    own = options(training={"epochs": 2, "accumulate": 3, "eval_updates": 2})
    learner = learner_of(own)
    assert (learner.updates, learner.periods) == (3, 2)
    assert [len(list(learner.batches(period))) for period in range(2)] == [6, 2]


def test_the_reversal_rises_with_the_updates_where_it_is_asked_for():
    own = options(speaker={"beta": 0.5, "schedule": "ramp"}, training={"epochs": 10, "eval_updates": 5})
    learner, strengths = learner_of(own), []
    learner.network = SimpleNamespace(speaker=True, set_progress=lambda options, strength: strengths.append(strength))
    said = [learner.start(period)["strength"] for period in range(learner.periods)]
    assert said == strengths
    assert said[0] == 0
    assert said == sorted(said)
    assert said[2] == pytest.approx(2 / (1 + np.exp(-10 * 10 / learner.updates)) - 1)


def test_the_rate_rises_and_falls_as_that_of_transformers():
    from transformers import get_linear_schedule_with_warmup

    for updates, warmup in ((20, 0.1), (33, 0.25), (10, 0.0), (7, 0.5)):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], 1.0)
        n_warm = int(np.ceil(warmup * updates))
        schedule = get_linear_schedule_with_warmup(optimizer, n_warm, updates)
        expected = []
        for _ in range(updates):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        rate = train.warm_up_and_decay(updates, TrainingOptions(warmup=warmup))
        assert [rate(update, []) for update in range(updates)] == pytest.approx(expected)


# What is read


def test_a_batch_has_waveforms_transcripts_and_speakers_of_its_utterances():
    data = cell_data()
    numbers = np.arange(12) + 20
    batch = make_batch(data, np.array([3, 0]), numbers, torch.device("cpu"))
    assert batch.n_samples.tolist() == [10_200, 9_000]
    np.testing.assert_array_equal(batch.waveforms[0], data.waveforms.waveform(data.waveforms.row_of["u03"]))
    np.testing.assert_array_equal(batch.waveforms[1, :9_000], data.waveforms.waveform(data.waveforms.row_of["u00"]))
    assert not batch.waveforms[1, 9_000:].any()
    assert batch.targets.tolist() == [[0, 1], [1, 0]]
    assert batch.n_symbols.tolist() == [7, 5]
    assert "".join(SYMBOLS[symbol] for symbol in batch.symbols) == "COME INGO ON"
    assert batch.speakers.tolist() == [23, 20]


def test_transcripts_that_do_not_fit_their_frames_are_refused_unless_they_may_be_left_out():
    """ALL needs four frames: there is a blank between the two L."""
    texts = ["ALL", *TEXTS[1:]]
    data = cell_data(texts=texts)
    require_room(data, np.array([0, 1]), np.array([4, 4]))
    with pytest.raises(TrainingError, match=r"u00 and 0 more: the transcript needs 4 frames .* there are 3; set spe"):
        require_room(data, np.array([0, 1]), np.array([3, 4]))
    lenient = cell_data(texts=texts, own=options(ctc={"zero_infinity": True}))
    require_room(lenient, np.array([0, 1]), np.array([3, 4]))


def test_a_corpus_of_few_sentences_says_so_beside_its_error_rates():
    assert cell_data().remarks == (
        "toy says 5 different sentences: its WER is that of telling these apart, not of recognising speech",
    )
    many = cell_data(texts=[f"{'AB'[row % 2]} {'C' * (row // 2 + 1)}" for row in range(12)])
    assert "12 different sentences" in many.remarks[0]
