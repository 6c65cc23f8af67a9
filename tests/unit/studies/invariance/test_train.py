"""Training and testing the systems on a made-up corpus: emotion and speaker each raise a value of their own."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from made_up_runs import UTTERANCE, write_packed, write_split, write_utterances
from serflow.errors import TrainingError
from serflow.files import read_json
from serflow.protocols.splits import divide
from serflow.report.headings import Heading, Layout
from serflow.report.intervals import table_intervals
from serflow.report.style import figure_style
from serflow.report.tables import fill, in_shape
from serflow.runs.models import read_fit
from serflow.runs.scores import read_runs
from serflow.stages import tabulate
from serflow.stages import train as stage
from serflow.stores.frames import PackedFrames
from serflow.stores.parquet import read_metadata, read_table
from serflow.studies.invariance import figure2, networks, speakers
from serflow.studies.invariance.catalog import system_info, system_names
from serflow.studies.invariance.data import NO_SPEECH, NOT_IMPROVISED, Files, Normalised, VoicedFrames, load_cell
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.train import SystemLearner, without_singles
from serflow.training import fit as fit_module
from serflow.training.metrics import score
from serflow.training.statistics import frame_statistics

SPEAKERS = [f"s{i}{letter}" for i in range(4) for letter in "FM"]
EMOTIONS = ("anger", "sadness")
DIM = 6
LEAST = 4
OPTIONS = {
    "style": "all",
    "model": {"tdnn": [[8, 2, 1], [6, 3, 1]], "lstm": 4, "fc": 8, "head": 6, "dropout": 0.1},
    "training": {"epochs": 10, "batch_size": 8, "learning_rate": 0.05, "device": "cpu"},
}


def corpus(
    folder: Path,
    n: int = 10,
    silent: str | None = None,
    style: str = "read",
    few: Mapping[str, int] | None = None,
    shift: int = 0,
) -> Files:
    """Write 8 speakers of ``n`` utterances, but for ``few``; frames of an utterance are told from silence by the VAD.

    In utterances whose names begin with ``silent`` the VAD finds no speech. Speakers begin with the same emotion, or by
    ``shift`` with another than the session before.
    """
    generator = np.random.default_rng(0)
    rows, mfcc, vad = [], {}, {}
    for speaker, name in enumerate(SPEAKERS):
        for i in range((few or {}).get(name, n)):
            utterance = f"{name}_{i}"
            emotion = EMOTIONS[(i + shift * (speaker // 2)) % 2]
            n_frames = int(generator.integers(9, 20))
            frames = generator.normal(size=(n_frames, DIM))
            frames[:, EMOTIONS.index(emotion)] += 3
            frames[:, 2:5] += [(speaker >> bit) % 2 * 3 for bit in range(3)]
            decisions = np.ones((n_frames, 1))
            decisions[:2] = 0
            frames[:2] = 1000
            if silent is not None and utterance.startswith(silent):
                decisions[:] = 0
            if i == 1:
                decisions[3:] = 0
            mfcc[utterance], vad[utterance] = frames, decisions
            rows.append({
                UTTERANCE: utterance, "speaker": name, "gender": "female" if name[-1] == "F" else "male",
                "session": name[1], "emotion": emotion, "style": style,
            })  # fmt: skip
    found = write_utterances(folder, rows=rows)
    divisions = divide("session-F", [{**row, "utterance": row[UTTERANCE], "dialogue": None} for row in rows])
    roles = {
        division.fold: {row[UTTERANCE]: role for row, role in zip(rows, division.roles, strict=True)}
        for division in divisions
    }
    split = write_split(folder, roles, protocol="session-F")
    return Files(found, (split,), write_packed(folder, "mfcc_kaldi", mfcc), write_packed(folder, "energy_vad", vad))


def train(
    folder: Path, files: Files, system: str = "mtl", options: dict | None = None, runs=(0,), variant: str = "main"
) -> Path:
    """Train as the rule does; return the folder of the run."""
    place = folder / "runs" / "invariance" / system / "toy" / variant
    place.mkdir(parents=True, exist_ok=True)
    own = Options.model_validate({**OPTIONS, **(options or {})}).as_json(system_info(system).options())
    arguments = ["--study", "invariance", "--cell", f"system={system}", "corpus=toy", f"variant={variant}", "--inputs"]
    arguments += [f"utterances={files.utterances}", f"mfcc={files.mfcc}", f"vad={files.vad}"]
    arguments += [f"splits={files.splits[0]}" for _ in runs]
    arguments += ["--runs", *map(str, runs), "--options", json.dumps(own), "--code", "0" * 16]
    for name in ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors", "embeddings.parquet"):
        arguments += [f"--{name.split('.')[0]}", str(place / name)]
    stage.main(stage.make_parser().parse_args(arguments))
    return place


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {system: train(folder, made, system) for system in system_names()}


def test_every_system_learns_what_is_planted(trained):
    for system, place in trained.items():
        (run,) = read_runs([place / "metrics.json"])
        assert [fit.fold for fit in run.fits] == ["0-F", "1-F", "2-F", "3-F"]
        hits = sum(fit.tallies["test", "prediction"].hits.sum() for fit in run.fits)
        assert hits / 40 >= 0.65, system
        for fit in run.fits:
            assert fit.tallies["test", "chance"].hits.sum() == 5
            assert fit.tallies["val", "prediction"].totals.sum() == 10


def test_validation_and_test_are_predicted_and_embedded(trained):
    place = trained["dat"]
    predictions = pd.read_parquet(place / "predictions.parquet")
    assert predictions.groupby(["fold", "role"]).size().tolist() == [10] * 8
    assert {row.utterance.split("_")[0] == row.speaker for row in predictions.itertuples()} == {True}
    embeddings = pd.read_parquet(place / "embeddings.parquet")
    assert set(embeddings["utterance"]) == set(predictions["utterance"])
    assert {len(vector) for vector in embeddings["vector"]} == {16}


def test_probes_name_the_speakers_of_training_on_utterances_that_they_were_not_fitted_on(trained):
    (run,) = read_runs([trained["mtl"] / "metrics.json"])
    for fit in run.fits:
        for what in ("speaker", "untrained_speaker", "input_speaker"):
            tally = fit.tallies["probe", what]
            assert tally.totals.tolist() == [3.0] * 6
        assert score(fit.tallies["probe", "speaker_chance"], "wa") == pytest.approx(1 / 6)
        # the speaker is planted in the means of the values
        assert fit.tallies["probe", "input_speaker"].hits.sum() >= 15
    assert ("probe", "speaker") not in read_runs([trained["svc"] / "metrics.json"])[0].fits[0].tallies


def test_the_history_has_the_losses_of_a_system(trained):
    columns = {system: set(read_table(place / "history.parquet").column_names) for system, place in trained.items()}
    assert "speaker_loss" not in columns["ser_only"]
    assert {"speaker_loss", "val_wa", "val_ua"} <= columns["mtl"]
    assert "reversal" in columns["dat"]
    assert {"moved_emotion_loss", "moved_speaker_loss", "speaker_move", "emotion_move"} <= columns["cgt"]
    moves = pd.read_parquet(trained["cgt"] / "history.parquet")[["speaker_move", "emotion_move"]]
    # no further than epsilon times the bound of a gradient
    assert ((moves > 0) & (moves <= 0.5 * 0.1)).all(axis=None)
    history = pd.read_parquet(trained["dat"] / "history.parquet")
    strengths = history[history["fold"] == "0-F"]["reversal"].tolist()
    assert strengths[0] == 0
    assert strengths == sorted(strengths)


@pytest.mark.parametrize("system", ["dat", "cgt_random"])
def test_a_killed_fit_ends_in_the_same_bytes(made, tmp_path, monkeypatch, system):
    whole = train(tmp_path / "whole", made, system)
    validate = fit_module.joined
    left = iter(range(9))

    def killed(*parts):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return validate(*parts)

    monkeypatch.setattr(fit_module, "joined", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", made, system)
    monkeypatch.undo()
    resumed = train(tmp_path / "killed", made, system)
    for name in ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors", "embeddings.parquet"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name


def test_what_the_vad_empties_is_left_out_and_counted(tmp_path):
    files = corpus(tmp_path, silent="s0F_3")
    data = load_cell(files, Options.model_validate(OPTIONS), [0])
    assert "s0F_3" not in data.utterances
    assert data.excluded == {"no label of the study": 0, NO_SPEECH: 1}
    place = train(tmp_path, files, "svc")
    assert read_json(place / "metrics.json")["excluded"][NO_SPEECH] == 1
    assert read_metadata(place / "predictions.parquet")["rejected"] == list(data.rejected) == ["s0F_3"]


def test_a_speaker_whom_the_vad_empties_is_named_where_a_set_has_no_other(tmp_path):
    said = r"fold 1-F: no utterance of the study is in test, all that s1M says is left out \(of the corpus, .*VAD: 10\)"
    with pytest.raises(TrainingError, match=said):
        train(tmp_path, corpus(tmp_path, silent="s1M_"), "svc")


def test_a_class_that_nobody_shows_in_training_is_told_with_its_key(tmp_path):
    few = dict.fromkeys([name for name in SPEAKERS if name != "s0M"], 1)
    with pytest.raises(TrainingError, match=r"no training utterance is sadness; .* \(invariance.emotions, "):
        train(tmp_path, corpus(tmp_path, few=few), "svc")


ONCE = {"training": {**OPTIONS["training"], "epochs": 1}}


def test_systems_and_values_of_a_search_start_from_the_same_weights_and_batches(made, tmp_path):
    """Without a share of the speaker's loss and without dropout, MTL is SER_only, whatever its variant is called."""
    model = {**OPTIONS["model"], "dropout": 0.0}
    options = {**ONCE, "folds_used": "first", "model": model, "mtl": {"weight": 0.0}}
    cells = [("ser_only", "main"), ("mtl", "main"), ("mtl", "search-weight-0")]
    weights = [
        load_file(train(tmp_path, made, system, options, variant=variant) / "model.safetensors")
        for system, variant in cells
    ]
    assert weights[1].keys() == weights[2].keys() > weights[0].keys()
    for other in weights[1:]:
        for name, value in weights[0].items():
            torch.testing.assert_close(other[name], value)


def test_a_number_of_speakers_that_is_not_there_is_not_applicable(made, tmp_path):
    there, lacking = (
        train(tmp_path, made, "svc", {"speakers": count}, variant=f"speakers-{count}") for count in (4, 7)
    )
    layout = Layout(
        ("System",),
        [Heading(("SVC",), {"system": "svc"})],
        [Heading(("Toy", f"{count} speakers"), {"variant": f"speakers-{count}"}) for count in (4, 7)],
        {"corpus": "toy", "role": "test", "measure": "wa"},
        over_folds="pooled",
    )
    made_of = [place / "metrics.json" for place in (there, lacking)]
    reason = "n/a: 7 speakers of training were asked for, and there are 6"
    table = fill(layout, read_runs(made_of))
    assert table.value(0, 0) is not None
    assert table.cells[0, 1] == reason
    outputs = [tmp_path / name for name in ("speakers.csv", "speakers_vs_paper.csv", "speakers_fits.csv")]
    tabulate.main(
        argparse.Namespace(
            cells=made_of, layouts={"speakers": layout.to_json()}, study="invariance", beside=[],
            csv=outputs[:1], comparison=outputs[1:2], fits=outputs[2:],
        )
    )  # fmt: skip
    assert pd.read_csv(outputs[0], keep_default_na=False).iloc[0, 2] == "n/a"
    assert reason in pd.read_csv(outputs[1])["note"][1]
    with figure_style():
        _, points = speakers.make_figure(speakers.Files(tuple(made_of)), {"layout": layout.to_json(), "title": "Toy"})
    assert points["speakers"].tolist() == [4]
    predictions = [place / "predictions.parquet" for place in (there, lacking)]
    _, lines = table_intervals(layout, predictions, [made.utterances], "speaker", replicates=10)
    assert [line[1] for line in lines] == ["Toy 4 speakers"]


def test_where_no_number_of_speakers_is_there_the_figure_is_empty(made, tmp_path):
    place = train(tmp_path, made, "svc", {"speakers": 7}, variant="speakers-7")
    layout = Layout(
        ("System",),
        [Heading(("SVC",), {"system": "svc"})],
        [Heading(("Toy", "7 speakers"), {"variant": "speakers-7"})],
        {"corpus": "toy", "role": "test", "measure": "wa"},
        over_folds="pooled",
    )
    with figure_style():
        _, points = speakers.make_figure(
            speakers.Files((place / "metrics.json",)), {"layout": layout.to_json(), "title": "Toy"}
        )
    assert points.empty


def test_probes_of_folds_that_know_fewer_speakers_are_pooled_and_what_has_no_probe_says_why(tmp_path):
    layout = Layout(
        ("System",),
        [Heading(("MTL",), {"system": "mtl", "variant": "main"})],
        [Heading(("Toy",), {"measure": "speaker_wa"}), Heading(("Chance",), {"measure": "speaker_chance_wa"})],
        {"corpus": "toy", "role": "probe"},
        over_folds="pooled",
    )
    mixed = train(tmp_path / "mixed", corpus(tmp_path / "mixed", few={"s3M": 1}), "mtl", ONCE)
    (run,) = read_runs([mixed / "metrics.json"])
    assert [len(fit.tallies["probe", "speaker"].totals) for fit in run.fits] == [5, 5, 5, 6]
    found = fill(layout, [run])
    # three folds of 5 speakers and one of 6, of whose utterances 3 each are scored
    assert found.value(0, 1).mean == pytest.approx(100 * (3 * 3 + 3) / (3 * 15 + 18))
    hits = sum(fit.tallies["probe", "speaker"].hits.sum() for fit in run.fits)
    assert found.value(0, 0).mean == pytest.approx(100 * hits / (3 * 15 + 18))

    twice = {name: 2 if name == "s0F" else 1 for name in SPEAKERS}
    single = corpus(tmp_path / "single", few=twice, shift=1)
    once = train(tmp_path / "single", single, "mtl", {**ONCE, "folds_used": "first"}, variant="main")
    (run,) = read_runs([once / "metrics.json"])
    assert ("test", "prediction") in run.fits[0].tallies
    assert fill(layout, [run]).cells[0, 0].startswith("n/a: 0 of 6 speakers of training have two utterances")


def test_a_probe_that_cannot_be_fitted_costs_no_training(made, tmp_path, monkeypatch):
    monkeypatch.setattr(SystemLearner, "embed", lambda learner, rows: np.ones((len(rows), 2), dtype=np.float32))
    place = train(tmp_path, made, "ser_only", {**ONCE, "folds_used": "first"})
    (fit,) = read_runs([place / "metrics.json"])[0].fits
    assert fit.absent.keys() == {("probe", "speaker"), ("probe", "untrained_speaker")}
    assert "are the same, so nothing can be read off them" in fit.absent["probe", "speaker"]
    assert {("probe", "input_speaker"), ("test", "prediction")} <= fit.tallies.keys()


def test_only_improvised_recordings_are_used_where_they_are_asked_for(tmp_path):
    options = Options.model_validate({**OPTIONS, "style": "improvised"})
    assert load_cell(corpus(tmp_path / "a", style="improvised"), options, [0]).excluded == {"no label of the study": 0}
    with pytest.raises(TrainingError, match=r"in train, all that s1F, s1M, s2F, 3 more says .* not improvised: 80\)"):
        train(tmp_path, corpus(tmp_path / "b", style="scripted"), options={"style": "improvised"})
    excluded = load_cell(corpus(tmp_path / "c", style="scripted"), options, [0]).excluded
    assert excluded[NOT_IMPROVISED] == 80


def test_voiced_frames_are_those_of_the_vad_and_short_utterances_are_continued(made):
    mfcc, vad = PackedFrames.open(made.mfcc), PackedFrames.open(made.vad)
    rows = np.arange(4)
    frames = VoicedFrames(mfcc, vad, rows, rows, LEAST)
    assert frames[0].max() < 100
    assert len(frames[0]) == len(mfcc[0]) - 2
    # the second utterance has one voiced frame
    assert frames.voiced[1] == 1
    assert frames.lengths[1] == LEAST
    np.testing.assert_array_equal(frames[1], np.repeat(frames[1][:1], LEAST, 0))


def test_frames_are_normalised_by_training_by_their_own_or_not_at_all(made):
    mfcc, vad = PackedFrames.open(made.mfcc), PackedFrames.open(made.vad)
    rows = np.arange(20)
    frames = VoicedFrames(mfcc, vad, rows, rows, LEAST)
    training = np.arange(10)
    statistics = frame_statistics(frames, training)
    globally = Normalised(frames, "train_global", statistics)
    together = np.concatenate([globally[row] for row in training])
    np.testing.assert_allclose(together.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(together.std(0), 1, atol=1e-4)
    assert abs(np.concatenate([globally[row] for row in range(10, 20)]).mean(0)).max() > 1e-3
    own = Normalised(frames, "utterance", statistics)[12]
    np.testing.assert_allclose(own.mean(0), 0, atol=1e-5)
    np.testing.assert_array_equal(Normalised(frames, "none", statistics)[12], frames[12])


def test_no_batch_has_one_utterance():
    batches = [np.array([1]), np.array([2, 3]), np.array([4]), np.array([5, 6])]
    found = without_singles(batches)
    assert [batch.tolist() for batch in found] == [[1, 2, 3, 4], [5, 6]]
    assert [batch.tolist() for batch in without_singles([np.array([1, 2]), np.array([3])])] == [[1, 2, 3]]


def test_another_corpus_of_other_sizes_gives_table_1(trained):
    heading, rows = networks.make_table(
        networks.Files((trained["mtl"] / "predictions.parquet",), (trained["mtl"] / "model.safetensors",)),
        {"titles": {"toy": "Toy"}},
    )
    assert heading == ["Layer", "Toy"]
    assert dict(rows) == {
        "TDNN 1": "8-2-1", "TDNN 2": "6-3-1", "Bi-LSTM": "4", "FC": "8",
        "Statistics pooling": "8-dim mean + 8-dim std",
        "Emotion classification": "16-6-6-2", "Speaker classification": "16-6-6-6",
    }  # fmt: skip


def test_figure_2_shows_validation_speakers_by_emotion_and_by_speaker(trained):
    files = figure2.Files((trained["dat"] / "embeddings.parquet",), (trained["dat"] / "predictions.parquet",))
    with figure_style():
        figure, points = figure2.make_figure(files, {"titles": {"toy": "Toy"}, "system": "SER_SR_DAT"})
    assert points.groupby("by").size().to_dict() == {"emotion": 10, "speaker": 10}
    assert set(points["group"]) == {"anger", "sadness", "s0F"}
    assert [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes] == ["Toy, by emotion", "Toy, by speaker"]


def test_the_figure_of_speakers_is_that_of_its_table(made, tmp_path):
    place = train(tmp_path, made, "svc")
    layout = Layout(
        ("System",),
        [Heading(("SVC",), {"system": "svc"})],
        [Heading(("Toy", "6 speakers"), {"variant": "main"})],
        {"corpus": "toy", "role": "test", "measure": "wa"},
        over_folds="pooled",
    )
    _, ((_, shown),) = in_shape(fill(layout, read_runs([place / "metrics.json"])), {})
    as_counted = layout._replace(columns=[Heading(("Toy", "6 speakers"), {"variant": "speakers-6"})])
    renamed = tmp_path / "runs/invariance/svc/toy/speakers-6"
    train_as(tmp_path, made, renamed)
    with figure_style():
        _, points = speakers.make_figure(
            speakers.Files((renamed / "metrics.json",)), {"layout": as_counted.to_json(), "title": "Toy"}
        )
    assert points.to_dict("records")[0]["accuracy"] == pytest.approx(float(shown), abs=0.005)
    assert points["speakers"].tolist() == [6]


def train_as(folder, files, place):
    """Train SVC under another name of its variant."""
    source = train(folder / "again", files, "svc")
    assert source.name == "main"
    arguments = ["--study", "invariance", "--cell", "system=svc", "corpus=toy", f"variant={place.name}", "--inputs"]
    arguments += [
        f"utterances={files.utterances}",
        f"mfcc={files.mfcc}",
        f"vad={files.vad}",
        f"splits={files.splits[0]}",
    ]
    own = Options.model_validate({**OPTIONS, "speakers": 6}).as_json(system_info("svc").options())
    arguments += ["--runs", "0", "--options", json.dumps(own), "--code", "0" * 16]
    place.mkdir(parents=True)
    for name in ("predictions.parquet", "history.parquet", "metrics.json", "model.safetensors", "embeddings.parquet"):
        arguments += [f"--{name.split('.')[0]}", str(place / name)]
    stage.main(stage.make_parser().parse_args(arguments))


def test_weights_of_other_options_are_not_described(trained, made):
    weights = read_fit(trained["mtl"] / "model.safetensors")
    other = Options.model_validate({**OPTIONS, "model": {**OPTIONS["model"], "fc": 9}})
    with pytest.raises(Exception, match="not those of its options"):
        networks.rebuild(other, weights, made.mfcc)
    assert isinstance(networks.rebuild(Options.model_validate(OPTIONS), weights, made.mfcc), torch.nn.Module)
