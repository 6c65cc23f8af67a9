"""What a fit is given: batches, statistics, class weights and routes, each on data where a mix-up shows."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from made_up_runs import UTTERANCE, write_noise_plan, write_packed, write_split, write_utterances
from serflow.errors import StoreError, TrainingError
from serflow.noise.plan import CONDITIONS
from serflow.stores.frames import PackedFrames
from serflow.studies.dlc import train as train_module
from serflow.studies.dlc.catalog import Cell, method_info
from serflow.studies.dlc.data import PAD_TO, PAD_TOKENS_TO, batch_maker, load_cell
from serflow.studies.dlc.options import DsnOptions, ModelOptions, Options, TrainingOptions
from serflow.studies.dlc.protocol import places_among, seen_conditions
from serflow.studies.dlc.train import Files, Gate, Loaded, folds, train_fit
from serflow.training.checkpoints import Checkpoint
from serflow.training.statistics import FrameStatistics

N = 72
NAMES = [f"u{i:02d}" for i in range(N)]
DRAWN = [CONDITIONS[i % 3] for i in range(N)]
ROLES = [("train", "train", "val", "test")[i // 12 % 4] for i in range(N)]
# three quarters of training and validation are anger, a quarter of the test
EMOTIONS = [("anger", "sadness")[(i % 4 == 0) != (ROLES[i] == "test")] for i in range(N)]
DRAWN_PLACES = np.array([CONDITIONS.index(name) for name in DRAWN])
CPU = torch.device("cpu")


def options(training=None, **others):
    one_epoch = {"max_epochs": 1, "device": "cpu", "batch_size": 16}
    model = ModelOptions(maps=8, hidden=8, kernel=3)
    return Options(model=model, training=TrainingOptions(**one_epoch, **(training or {})), **others)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every store in an order of its own, and every part of the split at a level of its own."""
    folder = tmp_path_factory.mktemp("inputs")
    generator = np.random.default_rng(0)
    level = {"train": 0.0, "val": 1.5, "test": -1.0}
    clean = {name: generator.normal(level[ROLES[i]], 1, (9 + i % 20, 3)) for i, name in enumerate(NAMES)}
    noisy = {name: 2 * frames + generator.normal(size=frames.shape) for name, frames in clean.items()}
    tokens = {name: generator.normal(size=(2 + i % 5, 4)) for i, name in enumerate(NAMES)}
    shuffled = [{name: frames[name] for name in generator.permutation(NAMES)} for frames in (clean, noisy, tokens)]
    rows = [
        {UTTERANCE: name, "emotion": EMOTIONS[i], "dialogue": f"d{i // 12}", "turn": i % 12}
        for i, name in enumerate(NAMES)
    ]
    return Files(
        utterances=write_utterances(folder, rows=rows),
        splits=(write_split(folder, {"dialogue-0": dict(zip(NAMES, ROLES, strict=True))}),),
        plan=write_noise_plan(folder, [(name, drawn, "c", 0.0) for name, drawn in zip(NAMES, DRAWN, strict=True)]),
        clean=write_packed(folder, "clean", shuffled[0]),
        noisy=write_packed(folder, "noisy", shuffled[1], condition="h1"),
        text=write_packed(folder, "bert", shuffled[2], condition="h1"),
    )


class Fit:
    """The first fit of a cell, whose data and gate may be changed before it is trained."""

    def __init__(self, files, method, experiment="exp1", **others):
        info = method_info(method)
        self.cell = Cell(experiment, method, "toy", "h1")
        read = files._replace(text=files.text if info.modality == "multi" else None)
        self.data = load_cell(read, self.cell, [0], predicts=info.predicts, labels="merged", heard=self.cell.profile)
        self.rows = next(folds(self.cell, Loaded(self.data, None)))
        self.seen = seen_conditions(self.rows.fit.fold)
        self.options, self.routes = options(**others), info.routes

    def train(self, folder, data=None, routes=None):
        """Train and test; ``routes`` are places among the conditions of training, of each test utterance."""
        places = np.zeros(len(self.rows.test), dtype=int) if routes is None else routes
        said = {NAMES[row]: CONDITIONS[self.seen[place]] for row, place in zip(self.rows.test, places, strict=True)}
        gate = Gate(folder / "gate.parquet", {self.rows.fit: said}) if self.routes else None
        checkpoint = Checkpoint(folder / "fit.pt", "key")
        checkpoint.path.unlink(missing_ok=True)
        return train_fit(self.cell, Loaded(data or self.data, gate), self.options, self.rows, checkpoint)


def with_frames(packed, names, change):
    """The same store, the frames of some utterances changed."""
    array = packed.array.copy()
    for name in names:
        row = packed.row_of[name]
        place = slice(packed.offsets[row], packed.offsets[row] + packed.lengths[row])
        array[place] = change(array[place])
    return PackedFrames(array, packed.utterances, packed.offsets, packed.lengths, packed.metadata)


def assert_same(one, two):
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def test_a_batch_is_normalised_clamped_and_padded_with_zeros(files):
    data = Fit(files, "hffn_single").data
    mean, std = np.array([0.5, -1.0, 2.0], np.float32), np.array([0.5, 2.0, 0.25], np.float32)
    rows, experts = np.array([40, 3, 71]), np.arange(N) % 3
    batch = batch_maker(data, FrameStatistics(mean, std), data.targets, experts, CPU)(rows)
    too_high = too_low = 0
    for frames, packed in ((batch.noisy, data.noisy), (batch.clean, data.clean)):
        # the longest has 20 frames
        assert frames.shape == (3, 2 * PAD_TO, 3)
        for values, row in zip(frames.numpy(), rows, strict=True):
            normalised = (packed[packed.row_of[NAMES[row]]] - mean) / std
            n_frames = 9 + row % 20
            np.testing.assert_allclose(values[:n_frames], np.clip(normalised, -3, 3), rtol=1e-6)
            assert not values[n_frames:].any()
            too_high, too_low = too_high + (normalised > 3).sum(), too_low + (normalised < -3).sum()
    assert min(too_high, too_low) > 5
    assert batch.lengths.tolist() == [9, 12, 20]
    assert batch.conditions.tolist() == experts[rows].tolist()
    assert batch.counts.conditions == batch.expert_rows == (1, 1, 1)
    # whoever does not tell conditions apart does not hear of them: with them no two batches would be of one shape
    plain = batch_maker(data, FrameStatistics(mean, std), data.targets, experts, CPU, routes=False)(rows)
    assert plain.counts.conditions is None
    assert batch.targets.tolist() == [[float(EMOTIONS[row] == name) for name in data.classes] for row in rows]


def test_tokens_and_dialogues_are_those_of_the_utterances_of_a_batch(files):
    data = Fit(files, "hffn_single").data
    rows = np.array([13, 12, 40, 14])
    batch = batch_maker(data, FrameStatistics(*np.ones((2, 3), np.float32)), data.targets, DRAWN_PLACES, CPU)(rows)
    assert batch.dialogues.tolist() == [0, 0, 1, 0]
    assert batch.counts.dialogues == (2, 3)
    assert batch.tokens.shape == (4, PAD_TOKENS_TO, 4)
    assert batch.n_tokens.tolist() == [2 + row % 5 for row in rows]
    for values, row in zip(batch.tokens.numpy(), rows, strict=True):
        tokens = data.text.tokens
        np.testing.assert_array_equal(values[: 2 + row % 5], tokens[tokens.row_of[NAMES[row]]])
        assert not values[2 + row % 5 :].any()


@pytest.mark.parametrize("experiment", ["exp1", "exp2"])
@pytest.mark.parametrize("method", ["single", "noise_classifier"])
def test_only_utterances_of_training_move_weights(files, tmp_path, method, experiment):
    """Neither statistics nor class weights know of validation, test, and, where it is held out, a noise condition.

    Of a single epoch, which is the best one whatever validation says.
    """
    fit = Fit(files, method, experiment)
    result = fit.train(tmp_path)
    others = np.setdiff1d(np.arange(N), fit.rows.train)
    names = [NAMES[row] for row in others]
    targets = fit.data.targets.copy()
    targets[others] = np.roll(targets[others], 1, axis=1)
    changed = dataclasses.replace(
        fit.data,
        examples=fit.data.examples._replace(targets=targets),
        clean=with_frames(fit.data.clean, names, lambda frames: frames - 50),
        noisy=with_frames(fit.data.noisy, names, lambda frames: 100 * frames + 7),
    )
    if method == "noise_classifier" and experiment == "exp2":
        # targets of the condition held out are none that it knows
        changed = dataclasses.replace(changed, examples=fit.data.examples)
    again = fit.train(tmp_path, changed)
    assert_same(again.weights, result.weights)
    assert again.history[0]["loss"] == result.history[0]["loss"]
    assert again.history[0]["val_loss"] != result.history[0]["val_loss"]


@pytest.mark.parametrize("method", ["single", "single_shuffled"])
def test_noise_of_other_clips_changes_no_random_number(files, tmp_path, method):
    """Two versions of a cell begin with the same weights and go through the same batches."""
    fit = Fit(files, method)
    result = fit.train(tmp_path)
    fit.cell = fit.cell._replace(profile="h1@partners-0")
    assert_same(fit.train(tmp_path).weights, result.weights)
    fit.cell = fit.cell._replace(profile="h2")
    other = fit.train(tmp_path).weights
    assert any(not torch.equal(value, result.weights[name]) for name, value in other.items())


def test_features_are_normalised_by_the_noisy_ones(files, tmp_path):
    """Clean features do not reach weights where they are no target."""
    fit = Fit(files, "single", training={"reconstruction_weight": 0.0})
    result = fit.train(tmp_path)
    louder = dataclasses.replace(fit.data, clean=with_frames(fit.data.clean, NAMES, lambda frames: 10 * frames))
    assert_same(fit.train(tmp_path, louder).weights, result.weights)
    # the same affine change of both is undone
    same = dataclasses.replace(
        fit.data,
        clean=with_frames(fit.data.clean, NAMES, lambda frames: 4 * frames - 3),
        noisy=with_frames(fit.data.noisy, NAMES, lambda frames: 4 * frames - 3),
    )
    for name, value in fit.train(tmp_path, same).weights.items():
        torch.testing.assert_close(value, result.weights[name], rtol=1e-3, atol=1e-4)


class Given(Exception):  # noqa: N818
    """Carries what a training is given."""


@pytest.mark.parametrize("method", ["single", "noise_classifier"])
@pytest.mark.parametrize("weighted", [True, False])
def test_classes_weigh_inversely_to_their_training_utterances(files, tmp_path, monkeypatch, method, weighted):
    def stop(prepared, *args):
        raise Given(prepared.class_weights)

    monkeypatch.setattr(train_module, "train_stages", stop)
    fit = Fit(files, method, "exp2", training={"class_weights": weighted})
    with pytest.raises(Given) as given:
        fit.train(tmp_path)
    counts = fit.data.targets[fit.rows.train].sum(0)
    known = counts[counts > 0]
    assert len(known) == 2
    expected = known.sum() / (2 * known) if weighted else np.ones(2)
    assert given.value.args[0].tolist() == pytest.approx(expected.tolist())
    assert method == "noise_classifier" or not weighted or abs(np.diff(expected)) > 1


def test_the_critic_counts_the_training_utterances_of_each_condition(files, tmp_path):
    fit = Fit(files, "maddog", "exp2")
    expected = np.bincount(fit.data.conditions[fit.rows.train], minlength=3)[list(fit.seen)]
    assert fit.train(tmp_path).weights["acoustic.counts"].tolist() == expected.tolist()


COMBINED = {"dsn": DsnOptions(task_code="combined")}


@pytest.mark.parametrize(
    ("method", "experiment", "more"),
    [
        ("moe_slc", "exp1", {}), ("moe_dlc", "exp1", {}), ("moe_dlc", "exp2", {}), ("dsn_slc", "exp2", COMBINED),
        ("dsn_dlc", "exp2", COMBINED), ("hffn_moe_dlc", "exp1", {}), ("hffn_dsn_dlc", "exp2", COMBINED),
    ],
)  # fmt: skip
def test_a_test_utterance_is_routed_by_the_gate_whatever_its_condition(files, tmp_path, method, experiment, more):
    """A gate that is wrong on every other utterance changes what is said of these, and nothing that is trained."""
    fit = Fit(files, method, experiment, **more)
    # as the oracle routes, where the condition has an encoder of its own
    places = np.maximum(places_among(fit.seen, fit.data.conditions)[fit.rows.test], 0)
    wrong = np.arange(len(places)) % 2 == 0
    right = fit.train(tmp_path, routes=places)
    routed = fit.train(tmp_path, routes=np.where(wrong, (places + 1) % len(fit.seen), places))
    assert_same(right.weights, routed.weights)
    assert right.history == routed.history
    probabilities = [result.tested[0].probabilities for result in (right, routed)]
    moved = np.abs(probabilities[0] - probabilities[1]).max(axis=1) > 1e-5
    if method.startswith("hffn"):
        # an utterance is read in its dialogue
        assert moved[wrong].all()
    else:
        assert moved.tolist() == wrong.tolist()
    if experiment == "exp1":
        for result in (right, routed):
            said = right.tested[0].probabilities.argmax(1)
            assert result.tested[0].more["oracle_prediction"] == [fit.data.classes[place] for place in said]
        assert right.tallies["test", "oracle"].hits.tolist() == right.tallies["test", "prediction"].hits.tolist()


@pytest.mark.parametrize("method", ["dsn_slc", "dsn_dlc", "hffn_dsn_dlc"])
def test_what_reads_the_shared_code_does_not_hang_on_the_gate(files, tmp_path, method):
    fit = Fit(files, method, "exp2")
    one, two = (fit.train(tmp_path, routes=np.full(len(fit.rows.test), place)) for place in (0, 1))
    np.testing.assert_array_equal(one.tested[0].probabilities, two.tested[0].probabilities)


def test_a_gate_that_names_the_condition_held_out_is_refused(files, tmp_path):
    fit = Fit(files, "moe_dlc", "exp2")
    fit.seen = (CONDITIONS.index(fit.rows.fit.fold),)
    with pytest.raises(StoreError, match=rf"gate\.parquet: routes to {fit.rows.fit.fold} noise, which is held out"):
        fit.train(tmp_path)


def test_what_is_counted_and_what_guesses_reach(files, tmp_path):
    """The majority is that of training; a guess is among the classes of the study."""
    result = Fit(files, "single").train(tmp_path)
    of_role = {role: [EMOTIONS[i] for i in range(N) if ROLES[i] == role] for role in ("train", "val", "test")}
    assert result.counts == {
        role: {name: names.count(name) for name in ("anger", "sadness")} for role, names in of_role.items()
    }
    anger, sadness = (float(of_role["test"].count(name)) for name in ("anger", "sadness"))
    assert sadness > anger > 0
    totals = {what: tally.totals.tolist() for (_, what), tally in result.tallies.items()}
    assert totals == {what: [anger, sadness] for what in ("prediction", "majority", "chance")}
    assert result.tallies["test", "majority"].hits.tolist() == [anger, 0.0]
    assert result.tallies["test", "chance"].hits.tolist() == [anger / 2, sadness / 2]
    (tested, unscored) = result.tested
    said = tested.probabilities.argmax(1)
    right = [[NAMES[row] for row in np.flatnonzero(np.array(ROLES) == "test")], said == tested.targets.argmax(1)]
    assert list(tested.utterances) == right[0]
    assert result.tallies["test", "prediction"].hits.sum() == right[1].sum()
    assert tested.more["condition"] == [DRAWN[NAMES.index(name)] for name in tested.utterances]
    assert len(unscored.utterances) == 0
    assert (result.best_period, len(result.history), result.history[0]["stage"]) == (0, 1, "all")


def test_a_noise_classifier_guesses_among_the_conditions_it_has_heard(files, tmp_path):
    fit = Fit(files, "noise_classifier", "exp2")
    result = fit.train(tmp_path)
    held = CONDITIONS.index(fit.rows.fit.fold)
    for tested, heard in zip(result.tested, (True, False), strict=True):
        assert tested.utterances
        assert all((DRAWN[NAMES.index(name)] != CONDITIONS[held]) == heard for name in tested.utterances)
        assert not tested.probabilities[:, held].any()
        assert (np.delete(tested.probabilities, held, axis=1) > 0).all()
    chance = result.tallies["test", "chance"]
    np.testing.assert_array_equal(chance.hits, chance.totals / 2)
    assert chance.totals.tolist() == [0.0 if place == held else 4.0 for place in range(3)]


@pytest.mark.parametrize("experiment", ["exp1", "exp2"])
def test_a_plain_classifier_reads_mean_and_deviation_of_noisy_training_features(files, tmp_path, experiment):
    fit = Fit(files, "svc", experiment)
    result = fit.train(tmp_path)
    frames = [fit.data.noisy[row].astype(np.float64) for row in fit.data.noisy_rows]
    vectors = np.array([[*values.mean(0), *values.std(0)] for values in frames])
    labels = fit.data.targets.argmax(1)
    scaled = (vectors - vectors[fit.rows.train].mean(0)) / vectors[fit.rows.train].std(0)
    peer = SVC(class_weight="balanced").fit(scaled[fit.rows.train], labels[fit.rows.train])
    (tested,) = result.tested
    assert tested.probabilities.argmax(1).tolist() == peer.predict(scaled[fit.rows.test]).tolist()
    assert list(tested.utterances) == [NAMES[row] for row in fit.rows.test]
    assert tested.more["condition"] == [DRAWN[row] for row in fit.rows.test]
    # nothing else moves it
    others = np.setdiff1d(np.arange(N), fit.rows.train)
    targets = fit.data.targets.copy()
    targets[others] = np.roll(targets[others], 1, axis=1)
    louder = with_frames(fit.data.clean, NAMES, lambda frames: 10 * frames)
    changed = dataclasses.replace(fit.data, examples=fit.data.examples._replace(targets=targets), clean=louder)
    np.testing.assert_array_equal(fit.train(tmp_path, changed).tested[0].probabilities, tested.probabilities)
    assert (result.history, result.weights, result.n_parameters) == ([], {}, 0)
    assert {what for _, what in result.tallies} == {"prediction", "majority", "chance"}


def test_shuffled_labels_are_dealt_within_training_and_within_validation(files):
    fit = Fit(files, "single_shuffled")
    # an utterance may be known again by its target
    targets = np.arange(2.0 * N).reshape(N, 2)
    dealt = train_module._shuffled(targets, fit.rows, ("a", 0))
    assert targets.tolist() == np.arange(2.0 * N).reshape(N, 2).tolist()
    for part, moves in ((fit.rows.train, True), (fit.rows.val, True), (fit.rows.test, False)):
        assert sorted(dealt[part].tolist()) == targets[part].tolist()
        assert (dealt[part].tolist() != targets[part].tolist()) == moves
    assert train_module._shuffled(targets, fit.rows, ("a", 0)).tolist() == dealt.tolist()
    assert train_module._shuffled(targets, fit.rows, ("a", 1)).tolist() != dealt.tolist()


def test_weights_start_from_the_names_of_the_fit_alone(files, tmp_path):
    fit = Fit(files, "single", training={"learning_rate": 1e-30})
    one = fit.train(tmp_path).weights
    torch.manual_seed(99)
    assert_same(fit.train(tmp_path).weights, one)
    fit.rows = fit.rows._replace(fit=fit.rows.fit._replace(run=1))
    other = fit.train(tmp_path).weights
    # biases start at zero; a step is next to nothing
    alike = [name for name in one if (one[name] - other[name]).abs().max() < 1e-20]
    assert alike == [name for name in one if name.endswith("bias")]


def test_a_fit_without_a_test_of_a_condition_it_has_heard_is_refused(files, tmp_path):
    fit = Fit(files, "noise_classifier", "exp2")
    held = fit.data.conditions == CONDITIONS.index(fit.rows.fit.fold)
    fit.rows = fit.rows._replace(test=fit.rows.test[held[fit.rows.test]])
    with pytest.raises(TrainingError, match="no test utterance has a condition of training; use more utterances"):
        fit.train(tmp_path)


@pytest.mark.parametrize("role", ["clean", "noisy"])
def test_features_that_do_not_belong_together_are_refused(files, tmp_path, role):
    cell = Cell("exp1", "single", "toy", "h1")
    condition = {"clean": "clean", "noisy": "h1"}[role]
    frames = {name: np.ones((9 + i % 20 + (i in (7, 30)), 3)) for i, name in enumerate(NAMES)}
    other = files._replace(text=None, **{role: write_packed(tmp_path, "longer", frames, condition=condition)})
    with pytest.raises(StoreError, match=r"clean\.parquet: u07 has not as many frames as in .*h1\.parquet \(2 such"):
        load_cell(other, cell, [0], predicts="emotion", labels="merged", heard="h1")
    wide = {name: np.ones((9 + i % 20, 4)) for i, name in enumerate(NAMES)}
    other = files._replace(text=None, **{role: write_packed(tmp_path, "wider", wide, condition=condition)})
    dims = {"clean": (4, 3), "noisy": (3, 4)}[role]
    with pytest.raises(StoreError, match=rf"clean\.parquet: {dims[0]} bands where .*h1\.parquet has {dims[1]}"):
        load_cell(other, cell, [0], predicts="emotion", labels="merged", heard="h1")
