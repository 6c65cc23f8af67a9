"""What a fit of the multilingual paper trains on, selects, tests and leaves of each language."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from serflow.errors import TrainingError
from serflow.protocols.examples import Examples
from serflow.protocols.folds import FitName, FoldRows, JointRows
from serflow.stores.frames import PackedFrames
from serflow.studies.multigating import train
from serflow.studies.multigating.catalog import SYSTEMS, Cell
from serflow.studies.multigating.data import CellData, LanguageData, Packed, make_batch, standardised
from serflow.studies.multigating.labels import all_classes, among
from serflow.studies.multigating.options import Options
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses
from serflow.training.metrics import score
from serflow.training.seeds import reproducible

CLASSES = {"german": ("anger", "boredom"), "french": ("anger", "fear", "sadness")}
SIZES = {
    "standardise": "none",
    "encoder": {"maps": 2, "lstm": 3, "mfcc_maps": 2, "mfcc_lstm": 3, "mfcc_layers": 1},
    "sharing": {"width": 4, "selector": "byol", "base_units": 5},
    "training": {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "device": "cpu"},
}
N = 24
TRAIN, VAL, TEST = np.arange(12), np.arange(12, 18), np.arange(18, 24)


def options(languages=("german", "french"), **changes):
    named = {name: {"corpus": f"{name}-corpus", "units": 5, "alpha": 0.1} for name in languages}
    return Options.model_validate({**SIZES, "languages": named, "features": ("mfcc", "byol"), **changes})


def packed(rows, corpus):
    names = [f"{corpus}-{place:02d}" for place in range(len(rows))]
    lengths = np.array([len(each) for each in rows])
    array = np.concatenate(rows).astype(np.float32)
    return Packed(PackedFrames(array, names, np.cumsum(lengths) - lengths, lengths, {}), np.arange(len(rows)))


def language(name, seed=0):
    """Return a language whose classes its vectors tell, and whose frames are noise."""
    generator = np.random.default_rng([seed, len(name)])
    labels = np.arange(N) % len(CLASSES[name])
    corpus = f"{name}-corpus"
    vectors = 3 * np.eye(4)[labels] + generator.normal(size=(N, 4))
    features = {
        "mfcc": packed([0.1 * generator.normal(size=(length, 6)) for length in generator.integers(5, 30, N)], corpus),
        "byol": packed(list(vectors[:, None]), corpus),
    }
    examples = Examples(
        corpus, features["byol"].store.utterances, CLASSES[name], np.eye(len(CLASSES[name]))[labels],
        {"speaker": [f"s{place % 3}" for place in range(N)]}, {},
    )  # fmt: skip
    return LanguageData(name, examples, examples, features)


def cell_data(names=("german", "french"), joined=False):
    languages = [language(name) for name in names]
    if joined:
        union = all_classes(part.examples for part in languages)
        languages = [LanguageData(part.language, part.examples, among(part.examples, union), part.features)
                     for part in languages]  # fmt: skip
    return CellData(tuple(languages), {}, None, None)


def rows_of(data, run=0):
    fit = FitName(run, "all")
    return JointRows(fit, {corpus: FoldRows(fit, TRAIN, VAL, TEST) for corpus in data.parts})


def fitted(folder, system="mmoe", names=("german", "french"), run=0, kind=Checkpoint, **changes):
    data = cell_data(names, SYSTEMS[system].joined)
    cell = Cell(system, "joint" if len(names) > 1 else f"{names[0]}-corpus", "main")
    with reproducible():
        return train.train_fit(
            cell, data, options(names, **changes), rows_of(data, run), kind(folder / "fit.pt", "key")
        )


class Killed(Checkpoint):
    """Writes the state of an epoch, and then the process is killed."""

    def save(self, state):
        super().save(state)
        raise KeyboardInterrupt


def same(one, other):
    assert one.keys() == other.keys()
    for corpus, result in one.items():
        for name, value in result.weights.items():
            assert torch.equal(value, other[corpus].weights[name]), name
        for mine, theirs in zip(result.tested, other[corpus].tested, strict=True):
            np.testing.assert_array_equal(mine.probabilities, theirs.probabilities)
        assert result.history == other[corpus].history


@pytest.mark.parametrize("system", [name for name, info in SYSTEMS.items() if info.trained == "all"])
def test_a_joint_training_leaves_a_result_of_each_language_in_its_own_classes(system, tmp_path):
    data = cell_data(joined=SYSTEMS[system].joined)
    found = fitted(tmp_path, system)
    assert list(found) == ["german-corpus", "french-corpus"]
    for corpus, result in found.items():
        part = data.parts[corpus]
        assert [tested.role for tested in result.tested] == ["val", "test"]
        for tested, rows in zip(result.tested, (VAL, TEST), strict=True):
            assert tested.utterances == [part.utterances[row] for row in rows]
            assert tested.probabilities.shape == (6, len(part.classes))
            assert tested.vectors.shape[0] == 6
            np.testing.assert_array_equal(tested.targets, part.targets[rows])
        assert len(result.history) == 2
        assert {name: sum(counts.values()) for name, counts in result.counts.items()} == {
            "train": 12, "val": 6, "test": 6
        }  # fmt: skip


def test_base_names_the_classes_of_all_languages_and_scores_those_that_a_language_has(tmp_path):
    data = cell_data(joined=True)
    assert {part.classes for part in data.languages} == {("anger", "boredom", "fear", "sadness")}
    german = fitted(tmp_path, "one_tower")["german-corpus"]
    totals = german.tallies["test", "prediction"].totals
    assert totals.tolist() == [3, 3, 0, 0]
    hits = german.tallies["test", "prediction"].hits
    assert score(german.tallies["test", "prediction"], "ua") == pytest.approx((hits[0] + hits[1]) / 6)


@pytest.mark.parametrize("system", ["mmoe", "ours", "omoe"])
def test_gates_stand_beside_the_predictions_a_weight_for_each_feature_that_is_weighed(system, tmp_path):
    for result in fitted(tmp_path, system).values():
        gates = np.array(result.tested[1].more["gates"])
        # the selector BYOL is not weighed
        assert gates.shape == (6, 1)
        np.testing.assert_allclose(gates.sum(1), 1, rtol=1e-6)


def test_a_network_without_gates_has_none_beside_its_predictions(tmp_path):
    assert "gates" not in fitted(tmp_path, "sb")["german-corpus"].tested[1].more


def test_a_languages_weights_are_without_the_towers_and_the_architecture_of_others(tmp_path):
    found = fitted(tmp_path, "ours", sharing={**SIZES["sharing"], "selector": "byol"})
    german = found["german-corpus"].weights
    assert any(name.startswith("towers.towers.german.") for name in german)
    assert any(name.startswith("sharing.transitions.german.") for name in german)
    assert any(name.startswith("encoders.") for name in german)
    assert not any("french" in name for name in german)
    shared = [name for name in german if "german" not in name]
    assert all(torch.equal(german[name], found["french-corpus"].weights[name]) for name in shared)


def test_the_epoch_that_does_best_over_languages_is_kept_and_each_has_its_own_history(tmp_path):
    found = fitted(tmp_path, "sb", training={**SIZES["training"], "epochs": 6})
    german, french = (found[f"{name}-corpus"] for name in ("german", "french"))
    means = [(one["val_wa"] + other["val_wa"]) / 2 for one, other in zip(german.history, french.history, strict=True)]
    assert [row["selected_by"] for row in german.history] == pytest.approx(means)
    assert german.best_period == french.best_period == int(np.argmax(means))
    assert not any("corpus" in name for row in german.history for name in row)
    # what was kept is what the history says of it
    val = german.tallies["val", "prediction"]
    assert score(val, "wa") == pytest.approx(german.history[german.best_period]["val_wa"])


def test_a_language_alone_is_trained_as_the_only_one(tmp_path):
    found = fitted(tmp_path, "single", ("german",))
    assert list(found) == ["german-corpus"]
    history = found["german-corpus"].history
    assert [row["selected_by"] for row in history] == [row["val_wa"] for row in history]
    # 12 utterances in batches of 8
    assert [row["updates"] for row in history] == [2, 4]


def test_a_language_is_learnt_from_vectors_that_tell_its_classes(tmp_path):
    trained = fitted(
        tmp_path, "single", ("german",), training={**SIZES["training"], "epochs": 25, "learning_rate": 0.02}
    )
    assert score(trained["german-corpus"].tallies["test", "prediction"], "wa") == 1.0


def test_validation_and_test_utterances_are_never_trained_on(tmp_path, monkeypatch):
    seen = []

    def losses(network, batch, own):
        seen.extend((batch.language, row) for row in batch.byol.tolist())
        total = network(batch).logits.sum()
        return Losses(total, {"emotion_loss": total}, len(batch.targets))

    monkeypatch.setattr(train, "losses", losses)
    fitted(tmp_path, "sb", training={**SIZES["training"], "epochs": 1})
    for part in cell_data().languages:
        trained = np.array([row for name, row in seen if name == part.language])
        expected = np.array([part.features["byol"][row][0] for row in TRAIN])
        np.testing.assert_allclose(np.sort(trained, axis=0), np.sort(expected, axis=0), rtol=1e-6)


def test_a_killed_fit_goes_on_to_the_bytes_of_an_undisturbed_one(tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = fitted(tmp_path / "whole", "ours")
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "killed", "ours", kind=Killed)
    same(fitted(tmp_path / "killed", "ours"), whole)


def test_runs_differ_and_repeat(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    first = fitted(tmp_path / "a")
    same(fitted(tmp_path / "b"), first)
    other = fitted(tmp_path / "c", run=1)["german-corpus"].weights
    assert any(not torch.equal(value, other[name]) for name, value in first["german-corpus"].weights.items())


def test_systems_begin_with_the_same_encoders(tmp_path, monkeypatch):
    begun = []

    def no_fit(learner, *_, **__):
        begun.append({name: value.clone() for name, value in learner.network.encoders.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", no_fit)
    for system in ("sb", "ours"):
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path, system)
    assert begun[0].keys() == begun[1].keys()
    assert all(torch.equal(value, begun[1][name]) for name, value in begun[0].items())


def test_a_plain_classifier_is_tested_on_the_same_utterances(tmp_path):
    data = cell_data(("german",))
    part = replace(data.languages[0], features={"byol": data.languages[0].features["byol"]})
    found = train.train_fit(
        Cell("svc", "german-corpus", "main"), replace(data, languages=(part,)), options(("german",)), rows_of(data),
        Checkpoint(tmp_path / "svc.pt", "key"),
    )["german-corpus"]  # fmt: skip
    assert found.tested[1].utterances == fitted(tmp_path, "single", ("german",))["german-corpus"].tested[1].utterances
    assert score(found.tallies["test", "prediction"], "wa") == 1.0
    assert (found.history, found.n_parameters) == ([], 0)


def test_a_class_without_training_utterances_is_refused_with_the_keys_to_change(tmp_path):
    data = cell_data(("german",))
    rows = FoldRows(FitName(0, "all"), np.arange(0, 12, 2), VAL, TEST)
    cell = Cell("single", "german-corpus", "main")
    with pytest.raises(TrainingError, match=r"german-corpus is boredom.*multigating\.languages\.german\.emotions"):
        train.train_fit(
            cell, data, options(("german",)), JointRows(rows.fit, {"german-corpus": rows}),
            Checkpoint(tmp_path / "fit.pt", "key"),
        )  # fmt: skip


def test_embeddings_of_ge2e_are_read_as_released_where_it_is_not_trained_further(tmp_path):
    data = cell_data(("german",))
    part = data.languages[0]
    released = replace(part, features={"mfcc": part.features["mfcc"], "ge2e": part.features["byol"]})
    data = replace(data, languages=(released,))
    assert data.dims() == {"mfcc": 6, "ge2e": 4}
    batch = make_batch(released, np.array([3, 1]), torch.device("cpu"))
    assert batch.partials is None
    np.testing.assert_array_equal(batch.ge2e, np.concatenate([part.features["byol"][3], part.features["byol"][1]]))
    own = options(("german",), features=("mfcc", "ge2e"), sharing={**SIZES["sharing"], "selector": "ge2e"},
                  training={**SIZES["training"], "epochs": 25, "learning_rate": 0.02})  # fmt: skip
    with reproducible():
        found = train.train_fit(
            Cell("single", "german-corpus", "main"), data, own, rows_of(data), Checkpoint(tmp_path / "fit.pt", "key")
        )
    assert score(found["german-corpus"].tallies["test", "prediction"], "wa") == 1.0


def test_features_are_scaled_by_the_training_utterances_of_their_language_where_asked_for(tmp_path, monkeypatch):
    part = language("german")
    scaled = standardised(part, TRAIN)
    for name in ("mfcc", "byol"):
        values = np.concatenate([scaled.features[name][row] for row in TRAIN])
        np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
        deviations = values.std(0)
        assert (np.isclose(deviations, 1, atol=1e-5) | (deviations == 0)).all()
        others = np.concatenate([scaled.features[name][row] for row in TEST])
        assert not np.allclose(others.mean(0), 0, atol=1e-3)
        np.testing.assert_array_equal(scaled.features[name].lengths, part.features[name].lengths)
    batch = make_batch(scaled, TEST, torch.device("cpu"))
    np.testing.assert_array_equal(batch.byol, np.concatenate([scaled.features["byol"][row] for row in TEST]))
    read = []

    def no_fit(learner, *_, **__):
        read.extend(type(packed).__name__ for packed in learner.data.languages[0].features.values())
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", no_fit)
    for how in ("none", "training"):
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path, "single", ("german",), standardise=how)
    assert read == ["Packed", "Packed", "Standardised", "Standardised"]


def test_mel_partials_are_not_scaled():
    part = language("german")
    partials = replace(part, features={"ge2e_partials": part.features["byol"]})
    assert standardised(partials, TRAIN).features == partials.features
