import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from safetensors.numpy import load_file

from serflow.errors import ConfigError, StoreError, TrainingError
from serflow.files import read_json
from serflow.fingerprint import fingerprint, imported_modules
from serflow.report.tables import read_published
from serflow.settings.base import Section
from serflow.stages import train as stage
from serflow.stages import train_batch
from serflow.stores.frames import FrameRow, iterate_frames, pack_frames, write_frames
from serflow.stores.parquet import read_metadata, read_table, write_table
from serflow.studies.departures import flat
from serflow.studies.dlc.catalog import Cell, load_method, method_info, method_names
from serflow.studies.dlc.data import CONDITIONS
from serflow.studies.dlc.options import (
    AdversaryOptions,
    DsnOptions,
    MaddogOptions,
    ModelOptions,
    Options,
    StagedOptions,
    TrainingOptions,
)
from serflow.studies.dlc.plan import ROWS
from serflow.studies.dlc.train import Files, folds, load
from serflow.training import fit as fit_module
from serflow.training.metrics import Tally, score

BANDS = 8
EMOTIONS = ("anger", "neutral", "sadness")
SEEDS = (0, 1)
COUNTS = {"listed": 90, "accepted": 90, "rejected": 0}
ABOUT = {"corpus": "toy", "synthetic": False, "partial": False, "counts": COUNTS, "warnings": []}
OPTIONS = {
    "model": {"maps": 8, "kernel": 4, "dilations": [1, 2], "hidden": 8},
    "training": {"max_epochs": 3, "batch_size": 16, "learning_rate": 0.01, "device": "cpu"},
}


def _write_features(folder, condition, rows, dim=BANDS):
    metadata = {"corpus": "toy", "condition": condition, "feature": "mfb"}
    write_frames(folder / "0000.parquet", rows, dim, metadata)
    pack_frames([folder / "0000.parquet"], folder / "packed.npy", folder / "packed.parquet")


def write_cell(folder: Path, n_utterances: int = 90) -> dict[str, Path]:
    """A corpus whose emotion and noise can be heard: each lifts a band of its own."""
    generator = np.random.default_rng(0)
    names = [f"toy_{i:03d}" for i in range(n_utterances)]
    emotions = [EMOTIONS[i % 3] if i % 30 != 29 else "other" for i in range(n_utterances)]
    drawn = generator.integers(len(CONDITIONS), size=n_utterances)
    clean, noisy = [], []
    for i, name in enumerate(names):
        frames = generator.normal(size=(int(generator.integers(9, 24)), BANDS)).astype(np.float32)
        frames[:, EMOTIONS.index(emotions[i]) if emotions[i] in EMOTIONS else 3] += 3
        clean.append(FrameRow(name, frames))
        with_noise = frames.copy()
        with_noise[:, 4 + drawn[i]] += 3
        noisy.append(FrameRow(name, with_noise))
    paths = {
        "utterances": folder / "utterances.parquet",
        "splits": [folder / f"split-{seed}.parquet" for seed in SEEDS],
        "plan": folder / "plan.parquet",
        "clean": folder / "clean" / "packed.parquet",
        "noisy": folder / "h1" / "packed.parquet",
        "text": folder / "bert" / "packed.parquet",
    }
    nothing = pa.nulls(n_utterances, pa.float64())
    table = pa.table(
        {
            "utterance": names,
            # turns are numbered against the order of the table
            "dialogue": [f"d{i // 3:02d}" for i in range(n_utterances)],
            "turn": [2 - i % 3 for i in range(n_utterances)],
            "emotion": emotions,
            "duplicate_of": pa.nulls(n_utterances, pa.string()),
            "sentiment": nothing,
            "valence_ratings": pa.nulls(n_utterances, pa.list_(pa.float64())),
        }
    )
    write_table(paths["utterances"], table, kind="utterances", metadata=ABOUT)
    for seed, path in zip(SEEDS, paths["splits"], strict=True):
        roles = ("train",) * 7 + ("val",) + ("test",) * 2
        split = pa.table(
            {
                "utterance": generator.permutation(names).tolist(),
                "fold": [f"dialogue-{seed}"] * n_utterances,
                "role": [roles[i % 10] for i in range(n_utterances)],
            }
        )
        write_table(path, split, kind="split", metadata={"corpus": "toy", "unit": "dialogue", "draw": seed})
    plan = pa.table({"utterance": names, "condition": [CONDITIONS[i] for i in drawn]})
    about = {"corpus": "toy", "profile": "h1", "snr_offset_db": 20.0, "synthetic_clips": False, "clip_warnings": []}
    write_table(paths["plan"], plan, kind="noise_plan", metadata=about)
    words = [FrameRow(name, generator.normal(size=(2 + i % 5, 6)).astype(np.float32)) for i, name in enumerate(names)]
    for i, row in enumerate(words):
        row.frames[:, EMOTIONS.index(emotions[i]) if emotions[i] in EMOTIONS else 3] += 3
    _write_features(folder / "bert", "h1", words, 6)
    _write_features(folder / "clean", "clean", clean)
    _write_features(folder / "h1", "h1", noisy)
    return paths


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_cell(tmp_path_factory.mktemp("inputs"))


def command(inputs, out, method="single", experiment="exp1", options=None, gate=None, code="c0de", **more):
    read = inputs if method.startswith("hffn") else {name: path for name, path in inputs.items() if name != "text"}
    heard = {"noisy": inputs["clean"]} if method_info(method).hears_clean else {}
    read = {**read, **heard, **more, **({"gate": gate} if gate else {})}
    named = [
        f"{name}={path}" for name, paths in read.items() for path in (paths if isinstance(paths, list) else [paths])
    ]
    outputs = ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors")
    return [
        *("--study", "dlc", "--cell", f"experiment={experiment}", f"method={method}", "corpus=toy", "profile=h1"),
        *("--inputs", *named, "--runs", *map(str, SEEDS)),
        *("--options", json.dumps(OPTIONS if options is None else options), "--code", code),
        *(word for name in outputs for word in (f"--{Path(name).stem}", str(out / name))),
    ]


def train(inputs, out, *args, **kwargs):
    stage.main(stage.make_parser().parse_args(command(inputs, out, *args, **kwargs)))
    return out


def scored(fit, what="prediction", kind="ua"):
    """A score of the test utterances of a fit, from its tally."""
    return score(Tally(*np.array(list(fit["tallies"]["test"][what].values())).T), kind)


def roles_of(inputs, seed):
    return read_table(inputs["splits"][SEEDS.index(seed)]).to_pandas()


def digests(folder):
    files = (path for path in sorted(folder.iterdir()) if path.name != ".lock")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def gates(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gates")
    for experiment in ("exp1", "exp2"):
        train(inputs, folder / experiment, "noise_classifier", experiment)
    return {experiment: folder / experiment / "predictions.parquet" for experiment in ("exp1", "exp2")}


def test_a_cell_leaves_four_artefacts_whose_counts_add_up(inputs, tmp_path):
    out = train(inputs, tmp_path / "cell")
    names = sorted(name for name in digests(out) if not name.startswith("."))
    assert names == ["history.parquet", "metrics.json", "model.safetensors", "predictions.parquet"]

    metrics = read_json(out / "metrics.json")
    assert metrics["excluded"] == {"no label of the study": 3}
    assert metrics["classes"] == list(EMOTIONS)
    assert [(fit["run"], fit["fold"]) for fit in metrics["fits"]] == [(0, "none"), (1, "none")]
    assert all(sum(fit["sizes"].values()) == 87 for fit in metrics["fits"])
    assert (metrics["study"], metrics["name"], metrics["code"]) == ("dlc", "exp1/single/toy/h1", "c0de")
    assert metrics["cell"] == {"experiment": "exp1", "method": "single", "corpus": "toy", "profile": "h1"}

    predictions = read_table(out / "predictions.parquet", kind="predictions").to_pandas()
    for fit in metrics["fits"]:
        rows = predictions[predictions.run == fit["run"]]
        roles = roles_of(inputs, fit["run"])
        assert len(rows) == fit["sizes"]["test"]
        assert set(rows.utterance) <= set(roles[roles.role == "test"].utterance)
        assert (rows.label == rows.prediction).mean() == pytest.approx(scored(fit, kind="wa"))
        assert (rows.label == rows.prediction).groupby(rows.label).mean().mean() == pytest.approx(scored(fit))
    assert np.allclose([sum(values) for values in predictions.probabilities], 1)
    assert (predictions.role == "test").all()
    assert "gate" not in predictions

    history = read_table(out / "history.parquet", kind="history").to_pandas()
    assert history.groupby("run").period.apply(list).tolist() == [
        list(range(fit["periods"])) for fit in metrics["fits"]
    ]
    assert np.allclose(history.loss, history.task_loss + history.reconstruction_loss)
    weights = load_file(out / "model.safetensors")
    assert sum(value.size for key, value in weights.items() if key.startswith("0/none/")) == metrics["parameters"]


def test_emotion_is_learnt(inputs, tmp_path):
    options = {**OPTIONS, "training": {**OPTIONS["training"], "max_epochs": 25}}
    metrics = read_json(train(inputs, tmp_path / "cell", options=options) / "metrics.json")
    assert min(map(scored, metrics["fits"])) > 0.8


def test_the_noise_classifier_predicts_every_test_utterance(inputs, gates):
    for experiment, path in gates.items():
        metrics = read_json(path.with_name("metrics.json"))
        predictions = read_table(path).to_pandas()
        assert metrics["classes"] == list(CONDITIONS)
        assert (predictions.label == predictions.condition).all()
        for fit in metrics["fits"]:
            rows = predictions[(predictions.run == fit["run"]) & (predictions.fold == fit["fold"])]
            roles = roles_of(inputs, fit["run"])
            assert set(rows.utterance) == set(roles[roles.role == "test"].utterance)
            seen = rows[rows.condition != fit["fold"]]
            assert len(seen) == fit["sizes"]["test"]
            assert (seen.label == seen.prediction).mean() == pytest.approx(scored(fit, kind="wa"))
            assert fit["fold"] not in set(rows.prediction)
        history = read_table(path.with_name("history.parquet")).to_pandas()
        assert "reconstruction_loss" not in history
        assert experiment == metrics["cell"]["experiment"]


@pytest.mark.parametrize("method", ["moe_slc", "moe_dlc"])
@pytest.mark.parametrize("experiment", ["exp1", "exp2"])
def test_experts_are_chosen_by_the_gate_of_the_same_fit(inputs, gates, tmp_path, method, experiment):
    out = train(inputs, tmp_path / "cell", method, experiment, gate=gates[experiment])
    predictions = read_table(out / "predictions.parquet").to_pandas()
    gate = read_table(gates[experiment]).to_pandas().set_index(["run", "fold", "utterance"]).prediction
    keys = list(zip(predictions.run, predictions.fold, predictions.utterance, strict=True))
    assert predictions.gate.tolist() == gate.loc[keys].tolist()

    if experiment == "exp2":
        assert (predictions.condition == predictions.fold).all()
        assert (predictions.gate != predictions.fold).all()
    experts = {key.split("/")[2].split(".")[3] for key in load_file(out / "model.safetensors") if "experts" in key}
    assert len(experts) == (3 if experiment == "exp1" else 2)


@pytest.mark.parametrize(
    ("method", "experiment", "staged"),
    [
        ("dann", "exp2", False), ("maddog", "exp2", False), ("dsn_slc", "exp2", False), ("dsn_dlc", "exp2", False),
        ("hffn_single", "exp1", False), ("hffn_moe_dlc", "exp1", True), ("hffn_dsn_dlc", "exp2", False),
        ("single_shuffled", "exp1", False), ("svc", "exp1", False), ("svc", "exp2", False),
    ],
)  # fmt: skip
def test_every_other_method_trains_a_cell(inputs, gates, tmp_path, method, experiment, staged):
    options = {**OPTIONS, "hffn": "staged" if staged else "end_to_end"}
    gate = gates[experiment] if method_info(method).routes else None
    out = train(inputs, tmp_path / "cell", method, experiment, gate=gate, options=options)
    metrics = read_json(out / "metrics.json")
    predictions = read_table(out / "predictions.parquet").to_pandas()
    history = read_table(out / "history.parquet").to_pandas()
    weights = load_file(out / "model.safetensors")
    for fit in metrics["fits"]:
        rows = predictions[(predictions.run == fit["run"]) & (predictions.fold == fit["fold"])]
        assert len(rows) == fit["sizes"]["test"]
        assert (rows.label == rows.prediction).mean() == pytest.approx(scored(fit, kind="wa"))
        assert scored(fit, "majority") == pytest.approx(1 / rows.label.nunique())
        assert scored(fit, "chance") == pytest.approx(1 / len(EMOTIONS))
        routed = method_info(method).routes and experiment == "exp1"
        assert ("oracle" in fit["tallies"]["test"]) == routed == ("oracle_prediction" in rows)
        if routed:
            recall = (rows.label == rows.oracle_prediction).groupby(rows.label).mean()
            assert recall.mean() == pytest.approx(scored(fit, "oracle"))
    stages = {"acoustic", "lexical", "fusion"} if staged else {"all"}
    assert set(history.stage) == (stages if method_info(method).network else set())
    terms = {"dann": "similarity_loss", "maddog": "critic_loss", "dsn_dlc": "difference_loss"}
    if method in terms:
        assert np.isfinite(history[terms[method]]).all()
    # parameters and what a batch normalisation keeps
    assert sum(value.size for key, value in weights.items() if key.startswith("0/")) >= metrics["parameters"]


def test_the_emotion_is_learnt_from_words_and_sound(inputs, tmp_path):
    options = {**OPTIONS, "training": {**OPTIONS["training"], "max_epochs": 20, "patience": 20}}
    metrics = read_json(train(inputs, tmp_path / "cell", "hffn_single", options=options) / "metrics.json")
    assert min(map(scored, metrics["fits"])) > 0.6


def test_on_shuffled_labels_nothing_is_learnt_and_the_test_keeps_its_labels(inputs, tmp_path):
    options = {**OPTIONS, "training": {**OPTIONS["training"], "max_epochs": 25}}
    out = train(inputs, tmp_path / "cell", "single_shuffled", options=options)
    emotions = {row["utterance"]: row["emotion"] for row in read_table(inputs["utterances"]).to_pylist()}
    predictions = read_table(out / "predictions.parquet").to_pylist()
    assert all(emotions[row["utterance"]] == row["label"] for row in predictions)
    assert max(map(scored, read_json(out / "metrics.json")["fits"])) < 0.7


def test_a_control_is_trained_and_tested_on_clean_audio(inputs, tmp_path):
    with pytest.raises(StoreError, match="condition"):
        train(inputs, tmp_path / "cell", "single_clean", noisy=inputs["noisy"])
    with pytest.raises(StoreError, match="condition"):
        train(inputs, tmp_path / "cell", noisy=inputs["clean"])
    job = stage.read_job(stage.make_parser().parse_args(command(inputs, tmp_path, "single_clean")))
    data = job.data.cell
    for one, other in zip(data.noisy_rows, data.clean_rows, strict=True):
        assert np.array_equal(data.noisy[int(one)], data.clean[int(other)])
    metrics = read_json(train(inputs, tmp_path / "cell", "single_clean") / "metrics.json")
    # the plan says who has which noise, and how loud, though none is heard
    assert metrics["provenance"]["raised_db"] == [20.0]


def batch(read, folder, methods, **changed):
    """The command line that trains some methods in one process."""
    alone = [stage.make_parser().parse_args(command(read, folder / method, method)) for method in methods]
    given = {
        "cells": json.dumps([["=".join(part) for part in each.cell] for each in alone]),
        "inputs": json.dumps([[f"{name}={path}" for name, path in each.inputs] for each in alone]),
        "options": json.dumps(OPTIONS),
        **changed,
    }
    outputs = ("predictions", "history", "metrics", "model")
    return [
        *(word for name, value in given.items() for word in (f"--{name}", value)),
        *("--study", "dlc", "--code", "c0de", "--runs", *map(str, SEEDS)),
        *(word for name in outputs for word in (f"--{name}", *(str(getattr(each, name)) for each in alone))),
    ]


def test_cells_in_one_process_leave_the_bytes_of_each_alone(inputs, tmp_path):
    methods = ("single", "hffn_single", "single_clean")
    train_batch.main(train_batch.make_parser().parse_args(batch(inputs, tmp_path / "batch", methods)))
    for method in methods:
        alone = digests(train(inputs, tmp_path / "alone" / method, method))
        assert digests(tmp_path / "batch" / method) == alone


def test_a_batch_has_inputs_and_outputs_for_each_cell(inputs, tmp_path):
    words = batch(inputs, tmp_path, ("single", "dann"))
    one = words.index("--history")
    with pytest.raises(ConfigError, match="--history: 1 for 2 cells"):
        train_batch.main(train_batch.make_parser().parse_args([*words[: one + 1], *words[one + 2 :]]))
    with pytest.raises(ConfigError, match="--inputs: 1 for 2 cells"):
        train_batch.main(
            train_batch.make_parser().parse_args(batch(inputs, tmp_path, ("single", "dann"), inputs="[[]]"))
        )


def test_text_is_asked_for_by_multimodal_methods_alone(inputs, tmp_path):
    without = {name: path for name, path in inputs.items() if name != "text"}
    with pytest.raises(ConfigError, match="hffn_single is multimodal; give text"):
        train(without, tmp_path / "cell", "hffn_single")
    with pytest.raises(ConfigError, match="single is unimodal; give text"):
        train(inputs, tmp_path / "cell", "single", text=inputs["text"])


def test_utterances_without_turns_are_refused_by_name(inputs, tmp_path):
    table = read_table(inputs["utterances"])
    turns = table.column("turn").to_pylist()
    turns[7] = None
    table = table.set_column(table.schema.get_field_index("turn"), "turn", pa.array(turns, pa.int64()))
    write_table(tmp_path / "utterances.parquet", table, kind="utterances", metadata=ABOUT)
    with pytest.raises(TrainingError, match=r"utterances.parquet: 1 of 87 utterances have no turn .* toy_007"):
        train({**inputs, "utterances": tmp_path / "utterances.parquet"}, tmp_path / "cell", "hffn_single")


def test_the_held_out_condition_is_in_neither_training_nor_validation(inputs):
    files = Files(
        **{name: tuple(path) if name == "splits" else path for name, path in inputs.items() if name != "text"}
    )
    cell = Cell("exp2", "single", "toy", "h1")
    data = load(files, cell, Options(), SEEDS)
    for rows in folds(cell, data):
        held_out = CONDITIONS.index(rows.fit.fold)
        assert held_out not in data.cell.conditions[np.concatenate([rows.train, rows.val])]
        assert set(data.cell.conditions[rows.test]) == {held_out}


@pytest.mark.parametrize(
    ("method", "experiment"), [("single", "exp1"), ("moe_slc", "exp2"), ("hffn_moe_dlc", "exp1"), ("maddog", "exp2")]
)
def test_a_killed_cell_goes_on_to_the_same_bytes(inputs, gates, tmp_path, monkeypatch, method, experiment):
    monkeypatch.setattr(stage, "STATE_EVERY_S", 0.0)
    gate = gates[experiment] if method_info(method).routes else None
    options = {**OPTIONS, "hffn": "staged", "model": {**OPTIONS["model"], "dropout": 0.3}}
    whole = train(inputs, tmp_path / "whole", method, experiment, gate=gate, options=options)

    save, saved = fit_module.Checkpoint.save, []

    def killed_after_the_fifth(self, state):
        save(self, state)
        saved.append(self.path)
        if len(saved) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module.Checkpoint, "save", killed_after_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        train(inputs, tmp_path / "killed", method, experiment, gate=gate, options=options)
    assert sorted(digests(tmp_path / "killed" / "fits")) == sorted({path.name for path in saved})
    saved.clear()
    saved.extend([Path()] * 10)
    again = train(inputs, tmp_path / "killed", method, experiment, gate=gate, options=options)
    assert len(saved) - 10 == sum(fit["periods"] for fit in read_json(whole / "metrics.json")["fits"]) - 5
    assert digests(again) == digests(whole)


def test_two_runs_give_the_same_bytes(inputs, tmp_path):
    assert digests(train(inputs, tmp_path / "one")) == digests(train(inputs, tmp_path / "two"))


@pytest.mark.parametrize("changed", [{"code": "other"}, {"options": {**OPTIONS, "iemocap_labels": "hap_only"}}])
def test_a_state_of_other_code_or_options_is_not_used(inputs, tmp_path, monkeypatch, caplog, changed):
    caplog.set_level("INFO")
    monkeypatch.setattr(stage.shutil, "rmtree", lambda folder, ignore_errors: None)
    train(inputs, tmp_path / "cell")
    caplog.clear()
    train(inputs, tmp_path / "cell")
    assert "starts over" not in caplog.text
    train(inputs, tmp_path / "cell", **changed)
    assert "0_none.pt: of other code, options or inputs; the fit starts over" in caplog.text


def test_a_state_of_other_features_is_not_used(inputs, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(stage.shutil, "rmtree", lambda folder, ignore_errors: None)
    train(inputs, tmp_path / "cell")
    louder = [
        FrameRow(row.utterance, row.frames + 1) for row in iterate_frames(inputs["noisy"].with_name("0000.parquet"))
    ]
    (tmp_path / "h1").mkdir()
    _write_features(tmp_path / "h1", "h1", louder)
    train({**inputs, "noisy": tmp_path / "h1" / "packed.parquet"}, tmp_path / "cell")
    assert "0_none.pt: of other code, options or inputs; the fit starts over" in caplog.text


def test_a_gate_without_a_test_utterance_is_refused(inputs, gates, tmp_path):
    table = read_table(gates["exp1"])
    metadata = {key: read_metadata(gates["exp1"])[key] for key in ("study", "cell", "provenance")}
    write_table(tmp_path / "gate.parquet", table.slice(1), kind="predictions", metadata=metadata)
    with pytest.raises(StoreError, match=r"gate.parquet: no predicted noise condition for 1 of .* run 0"):
        train(inputs, tmp_path / "cell", "moe_dlc", gate=tmp_path / "gate.parquet")


def test_the_gate_of_another_experiment_is_refused(inputs, gates, tmp_path):
    with pytest.raises(StoreError, match=r"cell is .*exp2.* where .*exp1.* was asked for"):
        train(inputs, tmp_path / "cell", "moe_dlc", "exp1", gate=gates["exp2"])


def test_experts_without_a_gate_are_refused(inputs, tmp_path):
    with pytest.raises(ConfigError, match="moe_dlc: give the noise classifier's predictions"):
        train(inputs, tmp_path / "cell", "moe_dlc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training": {"optimiser": "adam"}}, r"unknown key dlc.training.optimiser \(did you mean 'optimizer'\?\)"),
        ({"iemocap_lables": "merged"}, r"unknown key dlc.iemocap_lables \(did you mean 'iemocap_labels'\?\)"),
        ({"training": {"batch_size": 0}}, r"dlc.training.batch_size: Input should be greater .* \(it is 0\)"),
        ({"training": {"patience": True}}, "dlc.training.patience: true is not what it takes"),
        ({"training": {"learning_rate": float("nan")}}, "dlc.training.learning_rate: Input should be a finite number"),
        ({"model": {"dilations": [1, 0]}}, "dlc.model.dilations.1: Input should be greater than or equal to 1"),
        ({"model": {"dilations": []}}, "dlc.model.dilations: Tuple should have at least 1 item"),
        ({"model": {"pool": 3}}, r"dlc.model.pool: Input should be 1, 2 or 4 \(it is 3\)"),
        ({"model": {"dropout": 1.0}}, "dlc.model.dropout: Input should be less than 1"),
        ({"training": {"precision": "fp16"}}, "dlc.training.precision: Input should be 'fp32', 'tf32' or 'bf16'"),
        ({"model": 3}, r"dlc.model: Input should be a valid dictionary .* \(it is 3\)"),
        (3, r"dlc: Input should be a valid dictionary .* \(it is 3\)"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(inputs, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        train(inputs, tmp_path / "cell", options=options)


def other_split(inputs, folder, table):
    """The inputs with another split of the first run."""
    write_table(folder / "split.parquet", table, kind="split", metadata=read_metadata(inputs["splits"][0]))
    return {**inputs, "splits": [folder / "split.parquet", *inputs["splits"][1:]]}


def test_an_utterance_missing_from_the_split_is_named(inputs, tmp_path):
    table = read_table(inputs["splits"][0])
    emotions = {row["utterance"]: row["emotion"] for row in read_table(inputs["utterances"]).to_pylist()}
    missing = next(name for name in table.column("utterance").to_pylist() if emotions[name] in EMOTIONS)
    kept = table.filter(pc.not_equal(table.column("utterance"), missing))
    with pytest.raises(StoreError, match=rf"split.parquet: 1 of 8\d utterances are missing, the first is {missing}"):
        train(other_split(inputs, tmp_path, kept), tmp_path / "cell")


def test_a_class_without_training_utterances_is_named(inputs, tmp_path):
    table = read_table(inputs["splits"][0])
    utterances = read_table(inputs["utterances"]).to_pylist()
    sad = {row["utterance"] for row in utterances if row["emotion"] == "sadness"}
    roles = ["test" if row["utterance"] in sad else row["role"] for row in table.to_pylist()]
    split = table.set_column(2, "role", pa.array(roles))
    with pytest.raises(TrainingError, match="run 0, held out none: no training utterance is sadness"):
        train(other_split(inputs, tmp_path, split), tmp_path / "cell")


def test_an_utterance_without_a_transcript_is_left_out_and_counted(inputs, tmp_path):
    path = inputs["text"]
    metadata = {**read_metadata(path), "rejected": {"toy_003": "no words"}}
    for key in ("kind", "schema_version", "data_sha256"):
        del metadata[key]
    table = read_table(path)
    kept = table.filter(pc.not_equal(table.column("utterance"), "toy_003"))
    write_table(tmp_path / "packed.parquet", kept, kind="packed_frames", metadata=metadata)
    (tmp_path / "packed.npy").write_bytes(path.with_name("packed.npy").read_bytes())
    out = train({**inputs, "text": tmp_path / "packed.parquet"}, tmp_path / "cell", "hffn_single")
    metrics = read_json(out / "metrics.json")
    assert metrics["excluded"] == {"no label of the study": 3, "no transcript": 1}
    assert read_metadata(out / "predictions.parquet")["rejected"] == ["toy_003"]
    assert all(sum(fit["sizes"].values()) == 86 for fit in metrics["fits"])


def test_bfloat16_trains_to_finite_losses(inputs, tmp_path, bfloat16):
    options = {**OPTIONS, "training": {**OPTIONS["training"], "precision": "bf16", "max_epochs": 2}}
    history = read_table(train(inputs, tmp_path / "cell", options=options) / "history.parquet").to_pandas()
    assert np.isfinite(history.loss).all()


def test_fused_fits_leave_the_artefacts_of_fits_one_after_the_other(inputs, tmp_path):
    found = {}
    for how in ("never", "always"):
        options = {**OPTIONS, "training": {**OPTIONS["training"], "fused": how}}
        found[how] = train(inputs, tmp_path / how, options=options)
    alone, at_once = found.values()
    assert sorted(digests(at_once)) == sorted(digests(alone))
    metrics = [read_json(folder / "metrics.json") for folder in found.values()]
    assert metrics[0] == metrics[1]
    said = [read_metadata(folder / "predictions.parquet")["options"]["training"]["fused"] for folder in found.values()]
    assert said == ["never", "always"]
    for name in ("predictions", "history"):
        one, other = (read_table(folder / f"{name}.parquet").to_pandas() for folder in found.values())
        pd.testing.assert_frame_equal(one, other, rtol=0, atol=1e-5)
    weights = [load_file(folder / "model.safetensors") for folder in found.values()]
    assert {name: values.shape for name, values in weights[0].items()} == {
        name: values.shape for name, values in weights[1].items()
    }


@pytest.mark.parametrize(
    ("precision", "lacking"), [("bf16", "an LSTM in bfloat16"), ("tf32", "this machine's cpu has none")]
)
def test_a_precision_is_refused_where_the_machine_cannot_compute_in_it(
    inputs, tmp_path, monkeypatch, precision, lacking
):
    monkeypatch.setattr("serflow.devices.missing_in_bfloat16", lambda device: "an LSTM")
    options = {**OPTIONS, "training": {**OPTIONS["training"], "precision": precision}}
    with pytest.raises(ConfigError, match=rf"^dlc\.training\.precision: {precision} .*{lacking} .*; set it to fp32$"):
        train(inputs, tmp_path / "cell", options=options)
    assert [path.name for path in (tmp_path / "cell").rglob("*") if path.is_file()] == [".lock"]


def test_a_fit_in_tf32_says_so_and_one_in_fp32_after_it_rounds_nothing(inputs, tmp_path, monkeypatch, tf32):
    # a CPU taken for a device that has TF32: the switches are a GPU's, and it computes what it always does
    monkeypatch.setattr("serflow.devices.without_tf32", lambda device: None)
    backward, seen = torch.Tensor.backward, set()

    def noted(*args, **kwargs):
        seen.add(tf32())
        backward(*args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", noted)
    for precision, allowed in (("tf32", True), ("fp32", False)):
        options = {**OPTIONS, "training": {**OPTIONS["training"], "precision": precision, "max_epochs": 1}}
        out = train(inputs, tmp_path / precision, options=options)
        assert seen == {(allowed, allowed)}
        assert read_metadata(out / "predictions.parquet")["options"]["training"]["precision"] == precision
        seen.clear()


def test_method_names_and_facts():
    infos = {name: method_info(name) for name in method_names()}
    titles = {"exp1": "1", "exp2": "2"}
    printed = {row for row, _ in read_published("dlc", "table1", 2)}
    named = [(titles[experiment], infos[name].title) for experiment, names in ROWS.items() for name in names]
    assert printed == set(named)
    controls = {"noise_classifier", "single_clean", "single_wide", "single_shuffled", "svc"}
    assert {name for names in ROWS.values() for name in names} == infos.keys() - controls
    assert all(experiment in infos[name].experiments for experiment, names in ROWS.items() for name in names)
    routed = {"moe_dlc", "moe_slc", "dsn_slc", "dsn_dlc", "hffn_moe_dlc", "hffn_dsn_dlc"}
    assert {name for name, info in infos.items() if info.routes} == routed
    with pytest.raises(ConfigError, match="no method 'adda' in the dlc study; known: dann"):
        load_method("adda")


@pytest.mark.parametrize("method", method_names())
def test_a_method_names_the_options_that_it_reads(inputs, gates, tmp_path, monkeypatch, method):
    """Else a change of an option would leave runs as they are that depend on it, or make others anew for nothing."""
    read = set()
    groups = {ModelOptions: "model.", TrainingOptions: "training.", AdversaryOptions: "adversary."}
    groups |= {MaddogOptions: "maddog.", DsnOptions: "dsn.", StagedOptions: "staged.", Options: ""}
    look_up = Section.__getattribute__

    def recording(section, name):
        if name in type(section).model_fields and not isinstance(look_up(section, name), Section):
            read.add(groups[type(section)] + name)
        return look_up(section, name)

    monkeypatch.setattr(Section, "__getattribute__", recording, raising=False)
    info = method_info(method)
    experiment = info.experiments[0]
    # the stages' own are read where there are stages
    for hffn in ("end_to_end", "staged")[: 2 if info.options and "staged" in info.options else 1]:
        options = {**OPTIONS, "hffn": hffn, "training": {**OPTIONS["training"], "max_epochs": 1}}
        gate = gates[experiment] if info.routes else None
        train(inputs, tmp_path / hffn, method, experiment, gate=gate, options=options)
    if info.predicts == "condition":
        # the stage reads it, and classes that are noise conditions do not depend on it
        read.discard("iemocap_labels")
    assert read == {name for name, _ in flat(Options().as_json(info.options))}


def test_only_its_own_modules_are_in_a_methods_fingerprint(repository):
    def behind(method):
        return imported_modules(
            repository / "src",
            "serflow.stages.train",
            "serflow.studies.dlc.train",
            f"serflow.studies.dlc.methods.{method}",
        )

    methods = "serflow.studies.dlc.methods."
    assert "serflow.studies.dlc.moe" not in behind("single") + behind("noise_classifier")
    assert "serflow.studies.dlc.moe" in behind("moe_slc")
    assert [name for name in behind("moe_dlc") if name.startswith(methods)] == [methods + "moe_dlc"]
    assert fingerprint(repository / "src", methods + "single") != fingerprint(repository / "src", methods + "moe_dlc")


def test_the_catalogue_needs_neither_torch_nor_numpy(repository):
    import subprocess

    program = (
        "import sys; from serflow.studies.dlc.catalog import method_info, method_names;"
        "[method_info(name) for name in method_names()];"
        "print(sorted({'torch', 'numpy', 'pyarrow', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
