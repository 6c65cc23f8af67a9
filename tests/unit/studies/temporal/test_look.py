"""What segment classifiers say of an utterance over time, drawn from a run."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from made_up_runs import SYNTHETIC, predicted, write_cell
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.cli import app
from serflow.errors import StoreError
from serflow.report.style import figure_style
from serflow.runs.provenance import gather, joined
from serflow.stages import prepare_weights
from serflow.stores.waveforms import PackedWaveforms, pack_waveforms
from serflow.studies.temporal.catalog import SYSTEMS, load_network
from serflow.studies.temporal.look import classify_segments, picture
from serflow.studies.temporal.options import Options

CLASSES = ("anger", "neutral", "sadness")
SIZES = {"maps": 6, "lstm": 3, "lstm_layers": 1, "hidden": 5, "segments": 2}
OPTIONS = {"segment_net": SIZES}
N_SAMPLES = 24_000
CPU = torch.device("cpu")


def write_audio(results: Path, seed: int = 0) -> Path:
    """Write packed audio of two utterances, and return its index."""
    generator = np.random.default_rng(seed)
    utterances = [
        PreparedUtterance(name, generator.integers(-9000, 9000, n).astype(np.int16), 16_000, 1, "PCM_16", 0)
        for name, n in (("u1", N_SAMPLES), ("short", 4000))
    ]
    metadata = {"corpus": "toy", "synthetic": True, "n_shards": 1, "options": {}, "shard": "0000", "sources": "-"}
    shard, index = results / "audio/toy/0000.parquet", results / "packed/audio/toy.parquet"
    write_prepared(shard, utterances, metadata)
    pack_waveforms([shard], index.with_suffix(".npy"), index)
    return index


def network_of(fold, system="segment_net_on_mel", options=OPTIONS, weights=None):
    """Return the network of a fold: each has weights of its own."""
    info = SYSTEMS[system]
    torch.manual_seed(sum(map(ord, fold)))
    method = load_network(info.network)
    return method, method.build(info, Options.model_validate(options), len(CLASSES), weights, CPU).eval()


def write_run(results, inputs, system="segment_net_on_mel", options=OPTIONS, weights=None, study="temporal"):
    """Write a run in which u1 is validated in fold a and tested in fold b, and return its folder."""
    fits = []
    for fold, role in (("a", "val"), ("b", "test")):
        state = {}
        if study == "temporal" and system != "svc":
            _, network = network_of(fold, system, options, weights)
            frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
            state = {name: value for name, value in network.state_dict().items() if name not in frozen}
        rows = [(name, (1, 0, 0), 2) for name in ("u1", "short")]
        fits.append(predicted(rows, 0, fold, role=role, classes=CLASSES)._replace(weights=state))
    files = write_cell(
        results, {"system": system, "corpus": "toy", "variant": "plain"}, fits, study=study, classes=CLASSES,
        provenance=joined([SYNTHETIC, gather(inputs)]), options=options,
    )  # fmt: skip
    return files.metrics.parent


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def run(results):
    return write_run(results, {"audio": write_audio(results)})


def inspect(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def samples(index, utterance="u1"):
    audio = PackedWaveforms.open(index)
    return torch.from_numpy(audio.waveform(audio.row_of[utterance]))


def test_the_picture_is_of_the_network_that_tested_the_utterance(run, results):
    with figure_style():
        figure = picture(run, results, "u1")
    method, network = network_of("b")
    segments = classify_segments(network, method, samples(results / "packed/audio/toy.parquet"), len(CLASSES))
    spectrogram, *panels = figure.axes
    assert len(panels) == 2
    for axes, posteriors in zip(panels, segments.posteriors, strict=True):
        drawn = {line.get_label(): line for line in axes.lines}
        for name, values in zip(CLASSES, posteriors.T, strict=True):
            np.testing.assert_allclose(drawn[name].get_ydata(), values, rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(drawn[name].get_xdata(), segments.times)
    (image,) = spectrogram.images
    assert image.get_array().shape == (30, 1 + N_SAMPLES // 200)
    assert spectrogram.get_xlim() == (0, N_SAMPLES / 16_000)
    said = " ".join(text.get_text() for text in figure.texts)
    assert "Run 0, fold b, tested: anger, classified as sadness" in said
    assert "synthetic corpus" in said


@pytest.mark.numeric
@pytest.mark.usefixtures("float64")
def test_posteriors_are_those_of_each_segment_alone_and_stand_where_it_is():
    """What a segment hangs on lies around its time, and spans what is said of it."""
    options = {"segment_net": SIZES, "framing": {"n_mels": 20}}
    method, network = network_of("b", options=options)
    waveform = torch.from_numpy(np.random.default_rng(1).normal(size=N_SAMPLES, scale=0.1))
    segments = classify_segments(network, method, waveform, len(CLASSES))
    np.testing.assert_allclose(segments.posteriors.sum(2), 1, rtol=1e-12)
    assert segments.posteriors.shape[:2] == (2, len(segments.times))
    for place in (3, len(segments.times) - 4):
        middle, half = 16_000 * segments.times[place], 8 * segments.field_ms
        outside = waveform.clone()
        outside[: int(middle - half)] = 0
        outside[int(middle + half) + 1 :] = 0
        inside = waveform.clone()
        inside[int(middle - half) + 20 : int(middle - half) + 180] = 0
        inside[int(middle + half) - 180 : int(middle + half) - 20] = 0
        of_segment = {
            name: classify_segments(network, method, changed, len(CLASSES)).posteriors[:, place]
            for name, changed in (("outside", outside), ("inside", inside))
        }
        np.testing.assert_allclose(of_segment["outside"], segments.posteriors[:, place], rtol=1e-9)
        assert abs(of_segment["inside"] - segments.posteriors[:, place]).max() > 1e-7


def test_the_command_says_what_the_fits_say_and_draws(run, tmp_path):
    said = inspect(run, "--utterance", "u1", "--plot", tmp_path / "x.svg")
    assert said.exit_code == 0, said.output
    for words in ("u1 · temporal · segment_net_on_mel · toy · plain", "anger %", "val", "test"):
        assert words in said.stdout
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "<!-- Segment classifier 2 -->" in text
    assert inspect(run / "metrics.json", "--utterance", "u1", "--plot", tmp_path / "y.svg").exit_code == 0
    assert (tmp_path / "y.svg").read_bytes() == (tmp_path / "x.svg").read_bytes()


def test_an_utterance_shorter_than_a_segment_is_one_segment(run, results, tmp_path):
    assert inspect(run, "--utterance", "short", "--plot", tmp_path / "x.png").exit_code == 0
    method, network = network_of("b")
    found = classify_segments(network, method, samples(results / "packed/audio/toy.parquet", "short"), len(CLASSES))
    assert found.posteriors.shape == (2, 1, 3)


def refused(run, utterance="u1", *arguments):
    said = inspect(run, "--utterance", utterance, *arguments)
    assert said.exit_code == 1, said.output
    return said.stderr


def test_what_is_lacking_is_named(run, results, tmp_path):
    plot = ("--plot", tmp_path / "x.svg")
    assert "no fit was tested or validated on 'u2'; did you mean 'u1'?" in refused(run, "u2")
    with pytest.raises(StoreError, match="no fit tested or validated u2"):
        picture(run, results, "u2")
    index = results / "packed/audio/toy.parquet"
    write_audio(results, seed=1)
    assert f"{index}: another than segment_net_on_mel/toy/plain was made from" in refused(run, "u1", *plot)
    index.unlink()
    assert "build it with `snakemake --cores 2 results/packed/audio/toy.parquet`" in refused(run, "u1", *plot)
    run.rename(tmp_path / "run")
    assert "lies in no results folder" in refused(tmp_path / "run", "u1", *plot)


@pytest.mark.parametrize(("system", "segments"), [("segment_net_on_mel", 0), ("spectrogram", 2), ("svc", 2)])
def test_a_network_without_segment_classifiers_is_refused(results, tmp_path, system, segments):
    options = {"segment_net": {**SIZES, "segments": segments}, "strfnet": {"kernels": 2, "embedding": 4}}
    run = write_run(results, {"audio": write_audio(results)}, system, options)
    said = refused(run, "u1", "--plot", tmp_path / "x.svg")
    assert f"{system}/toy/plain has no segment classifiers to look at; give a run of wav2vec" in said


def test_runs_of_a_study_without_a_picture_are_described_only(results, tmp_path):
    run = write_run(results, {"audio": write_audio(results)}, study="dlc")
    assert inspect(run, "--utterance", "u1").exit_code == 0
    said = refused(run, "u1", "--plot", tmp_path / "x.svg")
    assert "runs of dlc have no picture of one utterance" in said


def test_weights_of_another_network_are_refused(results, tmp_path):
    run = write_run(results, {"audio": write_audio(results)})
    other = write_run(tmp_path / "other", {}, options={"segment_net": {**SIZES, "segments": 1}})
    for name in ("model.safetensors", ".model.safetensors.sha256"):
        (run / name).write_bytes((other / name).read_bytes())
    assert "its weights are not those of its options" in refused(run, "u1", "--plot", tmp_path / "x.svg")
    (run / "model.safetensors").write_bytes(b"")
    assert "model.safetensors" in refused(run, "u1", "--plot", tmp_path / "x.svg")


def test_what_is_frozen_of_wav2vec_comes_from_its_record(results, tmp_path):
    record = tmp_path / "resources/weights/wav2vec.json"
    prepare_weights.main(
        argparse.Namespace(backbone="wav2vec", weights="stand-in", release=None, folder=record.parent / "wav2vec",
                           files=None, record=record)
    )  # fmt: skip
    (path,) = (record.parent / "wav2vec").rglob("*.pt")
    inputs = {"audio": write_audio(results), "weights": [record]}
    options = {"segment_net": {**SIZES, "fine_tune": "context"}}
    run = write_run(results, inputs, "wav2vec", options, path)
    with figure_style():
        figure = picture(run, results, "u1")
    method, network = network_of("b", "wav2vec", options, path)
    segments = classify_segments(network, method, samples(results / "packed/audio/toy.parquet"), len(CLASSES))
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), segments.posteriors[0, :, 0], rtol=1e-4)
    # a segment sees 26 frames of 10 ms, and the encoder 465 samples for a frame
    np.testing.assert_allclose(segments.times[:2], [0.125 + 232.5 / 16_000, 0.165 + 232.5 / 16_000])
    assert segments.field_ms == pytest.approx(250 + 465 / 16)
    assert segments.field_ms + segments.before_ms == pytest.approx(network.window_ms + 250)
    said = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    assert f"sees 279 ms around it, and {segments.before_ms:.0f} ms before that through wav2vec's context" in said
    path.write_bytes(path.read_bytes() + b"\0")
    assert "does not match the SHA-256" in refused(run, "u1", "--plot", tmp_path / "x.svg")
