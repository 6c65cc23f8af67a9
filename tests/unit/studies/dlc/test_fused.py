"""Fits that are trained as one network end as each does by itself; on made-up features."""

import logging

import numpy as np
import pytest
import torch

from made_up_runs import UTTERANCE, write_noise_plan, write_packed, write_split, write_utterances
from serflow.config import check_config
from serflow.errors import ConfigError, TrainingError
from serflow.nn.pooling import frame_mask
from serflow.noise.plan import CONDITIONS
from serflow.studies.dlc import fused, train
from serflow.studies.dlc.catalog import Cell, load_method, method_info, method_names
from serflow.studies.dlc.data import Batch, load_cell
from serflow.studies.dlc.models import AcousticClassifier, Sizes
from serflow.studies.dlc.options import ModelOptions, Options, TrainingOptions
from serflow.studies.dlc.single import SingleEncoder
from serflow.studies.dlc.train import Files, Loaded, folds, train_fits
from serflow.training.checkpoints import Checkpoint, key_of
from serflow.training.seeds import Stream

N, RUNS = 96, (0, 1, 2)
NAMES = [f"u{i:02d}" for i in range(N)]
DRAWN = [CONDITIONS[i % 3] for i in range(N)]
EMOTIONS = [("anger", "sadness")[i // 3 % 2] for i in range(N)]


def role(run, i):
    """Half train; of the last run half of those, so that its epochs have fewer batches."""
    drawn = ("train", "val", "test", "train")[(i // 12 + run) % 4]
    return "test" if run == 2 and drawn == "train" and i % 12 >= 6 else drawn


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    generator = np.random.default_rng(0)
    level = {"anger": 0.4, "sadness": -0.4}
    clean = {name: generator.normal(level[EMOTIONS[i]], 1, (9 + i % 40, 3)) for i, name in enumerate(NAMES)}
    noisy = {name: 2 * frames + generator.normal(size=frames.shape) for name, frames in clean.items()}
    rows = [
        {UTTERANCE: name, "emotion": EMOTIONS[i], "dialogue": f"d{i // 12}", "turn": i % 12}
        for i, name in enumerate(NAMES)
    ]
    splits = []
    for run in RUNS:
        (folder / str(run)).mkdir()
        drawn = {name: role(run, i) for i, name in enumerate(NAMES)}
        splits.append(write_split(folder / str(run), {f"dialogue-{run}": drawn}))
    return Files(
        utterances=write_utterances(folder, rows=rows),
        splits=tuple(splits),
        plan=write_noise_plan(folder, [(name, drawn, "c", 0.0) for name, drawn in zip(NAMES, DRAWN, strict=True)]),
        clean=write_packed(folder, "clean", clean),
        noisy=write_packed(folder, "noisy", noisy, condition="h1"),
    )


def options(how, model=None, **training):
    model = {"maps": 6, "hidden": 7, "kernel": 4, "dropout": 0.3, **(model or {})}
    training = {"max_epochs": 5, "patience": 2, "batch_size": 8, "learning_rate": 0.01, "device": "cpu", **training}
    return Options(model=ModelOptions(**model), training=TrainingOptions(fused=how, **training))


class Kept:
    """The fits of a cell, trained in a folder, whose states may be lost."""

    def __init__(self, files, method="single", experiment="exp1"):
        self.cell = Cell(experiment, method, "toy", "h1")
        info = method_info(method)
        data = load_cell(files, self.cell, RUNS, predicts=info.predicts, labels="merged", heard="h1")
        self.loaded = Loaded(data, None)
        self.rows = list(folds(self.cell, self.loaded))

    def train(self, folder, how, kind=Checkpoint, **others):
        given = [(rows, kind(folder / f"{rows.fit.run}_{rows.fit.fold}.pt", f"key {rows.fit}")) for rows in self.rows]
        return list(train_fits(self.cell, self.loaded, options(how, **others), given))


def assert_alike(found, expected, tolerance):
    assert [result.fit for result in found] == [result.fit for result in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.best_period == theirs.best_period
        assert len(ours.history) == len(theirs.history)
        for row, own in zip(ours.history, theirs.history, strict=True):
            assert row.keys() == own.keys()
            assert row == pytest.approx(own, abs=tolerance)
        assert ours.weights.keys() == theirs.weights.keys()
        for name, values in theirs.weights.items():
            torch.testing.assert_close(ours.weights[name], values, rtol=0, atol=tolerance)
        assert len(ours.tested) == len(theirs.tested)
        for part, own in zip(ours.tested, theirs.tested, strict=True):
            assert list(part.utterances) == list(own.utterances)
            np.testing.assert_allclose(part.probabilities, own.probabilities, rtol=0, atol=tolerance)
        others = ("tallies", "counts", "n_parameters", "absent")
        assert all(str(getattr(ours, name)) == str(getattr(theirs, name)) for name in others)


@pytest.fixture
def in_double(monkeypatch):
    """Train in double precision: in single, a sum in another order can switch a ReLU, which Adam makes a whole step."""
    make_single, build, weights = train.batch_maker, train._build, train._class_weights

    def maker(*given):
        make = make_single(*given)

        def make_double(rows):
            batch = make(rows)
            return batch._replace(
                noisy=batch.noisy.double(), clean=batch.clean.double(), targets=batch.targets.double()
            )

        return make_double

    monkeypatch.setattr(train, "batch_maker", maker)
    monkeypatch.setattr(train, "_build", lambda *given: build(*given).double())
    monkeypatch.setattr(train, "_class_weights", lambda *given: weights(*given).double())


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize(
    ("method", "experiment", "model", "training"),
    [
        ("single", "exp2", {}, {}),
        ("single", "exp1", {"readout": "mean_std", "instance_norm": True, "dilations": (1, 3), "pool": 2}, {}),
        ("single", "exp1", {"dropout": 0.0, "pool": 1}, {"optimizer": "adadelta", "learning_rate": 0.5}),
        ("single_clean", "exp1", {}, {}),
        ("single_shuffled", "exp1", {}, {"patience": 1}),
        ("single_wide", "exp1", {}, {}),
        ("noise_classifier", "exp2", {}, {}),
    ],
)
def test_a_member_equals_its_lone_fit(files, tmp_path, method, experiment, model, training):
    kept = Kept(files, method, experiment)
    lone = kept.train(tmp_path / "lone", "never", model=model, **training)
    found = kept.train(tmp_path / "fused", "always", model=model, **training)
    # epochs of the last run have fewer batches
    assert len({result.history[0]["updates"] for result in lone}) == 2
    assert_alike(found, lone, 1e-9)


@pytest.mark.parametrize("model", [{}, {"readout": "mean_std", "instance_norm": True, "pool": 2}])
def test_members_whose_batches_have_other_sizes_and_lengths_have_their_own_losses(model):
    chosen, sizes = options("always", model=model), (2, 5, 3)
    torch.manual_seed(0)
    networks = [load_method("single").build(Sizes(3, 2, (1, 1, 1)), chosen).train() for _ in sizes]
    weights = list(torch.rand(len(sizes), 2).unbind())
    batches, alone, streams = [], [], [Stream(torch.device("cpu")) for _ in sizes]
    for member, n in enumerate(sizes):
        lengths = torch.arange(1, 16 * n, 16)
        mask = frame_mask(lengths, 16 * n)
        noisy, clean = torch.randn(2, n, 16 * n, 3) * mask
        batches.append(Batch(noisy, clean, lengths, torch.eye(2)[torch.arange(n) % 2], torch.zeros(n).long()))
        with streams[member]():
            torch.manual_seed(member)
        torch.manual_seed(member)
        alone.append(networks[member].losses(batches[member], weights[member]))
    for ours, theirs in zip(fused.Singles(networks, weights, streams).outcomes(batches), alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_in_single_precision_too_and_each_stops_by_itself(files, tmp_path):
    kept = Kept(files, "noise_classifier", "exp2")
    lone, found = (kept.train(tmp_path / how, how) for how in ("never", "always"))
    assert len({len(result.history) for result in lone}) > 1
    assert_alike(found, lone, 1e-5)


class Killed(Checkpoint):
    """A state after whose third writing the process is killed."""

    written = 0

    def save(self, state):
        super().save(state)
        Killed.written += 1
        if Killed.written == 3:
            raise KeyboardInterrupt


def test_a_killed_training_goes_on_to_the_same_bits(files, tmp_path, monkeypatch):
    monkeypatch.setattr(Killed, "written", 0)
    kept = Kept(files)
    unbroken = kept.train(tmp_path / "unbroken", "always")
    with pytest.raises(KeyboardInterrupt):
        kept.train(tmp_path / "killed", "always", Killed)
    # one file holds the state of all
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["0_none.fused.pt"]
    seen = []
    started = fused.StageLearner.start
    monkeypatch.setattr(
        fused.StageLearner, "start", lambda learner, period: seen.append(period) or started(learner, period)
    )
    found = kept.train(tmp_path / "killed", "always")
    assert min(seen) == 3
    assert_alike(found, unbroken, 0)


def test_a_state_is_of_the_same_fits_alone(files, tmp_path):
    kept = Kept(files)
    whole = kept.train(tmp_path, "always", max_epochs=3)
    kept.rows = kept.rows[:2]
    fewer = kept.train(tmp_path, "always", max_epochs=3)
    assert_alike(fewer, kept.train(tmp_path / "afresh", "always", max_epochs=3), 0)
    assert [len(result.history) for result in whole[:2]] == [len(result.history) for result in fewer]


def test_a_state_holds_each_weight_once(files, tmp_path):
    kept = Kept(files)
    kept.train(tmp_path, "always", max_epochs=1)
    key = key_of(*(f"key {rows.fit}" for rows in kept.rows))
    state = Checkpoint(tmp_path / "0_none.fused.pt", key).load()
    assert state.keys() == {"optimizer", "members"}
    for member in state["members"]:
        for values in member["network"].values():
            assert values.untyped_storage().nbytes() == values.nbytes


def test_networks_of_other_shapes_are_trained_apart_and_that_is_said(files, tmp_path, caplog):
    kept = Kept(files)
    ready = [train._prepare(kept.cell, kept.loaded, options("always"), rows) for rows in kept.rows]
    narrow = options("always", model={"maps": 5})
    ready[1] = train._prepare(kept.cell, kept.loaded, narrow, kept.rows[1])
    caplog.set_level(logging.INFO)
    checkpoints = [Checkpoint(tmp_path / f"{rows.fit.run}.pt", str(rows.fit)) for rows in kept.rows]
    found = fused.train_fused([each.prepared for each in ready], options("always"), checkpoints)
    assert "run 1, held out none: trained by itself, no other fit of the cell has a network of its shape" in caplog.text
    assert "2 fits are trained as one network: exp1 single toy h1, run 0" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.fused.pt", "1.pt"]
    for (fitted, _), each in zip(found, ready, strict=True):
        own = dict(each.prepared.network.state_dict())
        assert all(torch.equal(values, own[name]) for name, values in fitted.best.items())
    assert [len(fitted.best["classifier.dense.1.weight"][0]) for fitted, _ in found] == [6, 5, 6]


def test_no_more_than_a_number_of_fits_are_one_network(files, monkeypatch):
    kept = Kept(files, experiment="exp2")
    ready = [train._prepare(kept.cell, kept.loaded, options("always"), rows).prepared for rows in kept.rows]
    monkeypatch.setattr(fused, "MOST", 4)
    assert list(fused._groups(ready)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_auto_does_not_fuse(files, tmp_path):
    kept = Kept(files)
    assert not fused.fuses("single", options("auto"))
    assert_alike(kept.train(tmp_path / "auto", "auto"), kept.train(tmp_path / "never", "never"), 0)
    assert fused.fuses("single", options("always"))
    assert not fused.fuses("dann", options("always"))
    assert not fused.fuses("single", options("never"))


def test_settings_refuse_to_always_fuse_a_method_that_cannot_be():
    check_config({"dlc": {"training": {"fused": "auto"}}})
    check_config({"dlc": {"training": {"fused": "always"}, "methods": ["single"]}})
    with pytest.raises(ConfigError, match=r"dlc\.training\.fused: fits of moe_slc cannot be trained as one network"):
        check_config({"dlc": {"training": {"fused": "always"}, "methods": ["single", "moe_slc"]}})
    with pytest.raises(ConfigError, match=r"dlc\.training\.graphs: steps of fused fits are not graphs"):
        check_config({"dlc": {"training": {"fused": "always", "graphs": "on"}, "methods": ["single"]}})


def test_methods_that_say_they_can_be_fused_have_networks_that_can():
    able = [name for name in method_names() if method_info(name).fuses]
    assert able == ["noise_classifier", "single", "single_clean", "single_shuffled", "single_wide"]
    for name in able:
        network = load_method(name).build(Sizes(3, 2, (1, 1, 1)), options("always"))
        assert type(network) is AcousticClassifier
        assert type(network.acoustic) is SingleEncoder


def test_a_loss_that_is_not_finite_names_its_fit(files, tmp_path):
    kept = Kept(files)
    with pytest.raises(TrainingError, match=r"^exp1 single toy h1, run 0, held out none, period 0, training, batch"):
        kept.train(tmp_path, "always", learning_rate=1e30)
