"""What a cell reads, and its batches: crops with their pulses, whole utterances, crops that cover all of them."""

import argparse

import numpy as np
import pytest
import torch

from made_up_runs import UTTERANCE, write_split, write_utterances
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.backbones.weights import describe_files
from serflow.errors import ConfigError, StoreError, TrainingError, WeightsError
from serflow.features import pitch_pulse, spectrogram
from serflow.files import write_sealed_json
from serflow.protocols.examples import Examples
from serflow.stages.find_pulses import main as find_pulses
from serflow.stores.pulses import CorpusPulses, PulseRow
from serflow.stores.waveforms import PackedWaveforms, pack_waveforms
from serflow.studies.temporal.augmentation import draw
from serflow.studies.temporal.catalog import SYSTEMS
from serflow.studies.temporal.data import (
    PAD_TO_FRAMES,
    CellData,
    Files,
    crop_batch,
    crop_batches,
    load_cell,
    log_mel_statistics,
    training_batch,
    whole_batch,
    whole_batches,
)
from serflow.studies.temporal.front_end import LogMelFrontEnd
from serflow.studies.temporal.options import Options

CPU = torch.device("cpu")
CROP = 1_600
LENGTHS = (4_000, 900, 1_600, 1_601, 3_200, 8_100, 1_600)
NAMES = ("all_three", "toy", "warp", 0, "03F")
EVERY = np.arange(len(LENGTHS))
SPECTROGRAM, PULSES, WAV2VEC = (SYSTEMS[name] for name in ("spectrogram", "all_three", "wav2vec"))


def options(**changes):
    return Options.model_validate(
        {
            "warped": True,
            "augment": {"crop_s": 0.1},
            "framing": {"n_mels": 20},
            "training": {"batch_size": 4},
            **changes,
        }
    )


def cell_data(pulses=True, order=EVERY):
    """Return utterances that lie in the stores in an order of their own."""
    generator = np.random.default_rng(0)
    names = [f"u{row}" for row in range(len(LENGTHS))]
    lengths = np.array(LENGTHS)
    array = generator.integers(-30_000, 30_000, lengths.sum(), dtype=np.int16)
    stored = np.random.default_rng(1).permutation(len(LENGTHS))
    waveforms = PackedWaveforms(
        array, [names[row] for row in stored], np.cumsum(lengths[stored]) - lengths[stored], lengths[stored],
        {"sample_rate": 16_000},
    )  # fmt: skip
    rows = [
        PulseRow(f"u{row}", LENGTHS[row], np.sort(generator.permutation(LENGTHS[row])[:40])) for row in stored[::-1]
    ]
    found = CorpusPulses(rows, {})
    kept = [names[row] for row in order]
    targets = np.eye(4)[np.arange(len(LENGTHS)) % 4][order]
    return CellData(
        Examples("toy", kept, tuple("abcd"), targets, {"speaker": kept}, {}),
        waveforms,
        np.array([waveforms.row_of[name] for name in kept]),
        found if pulses else None,
        np.array([found.row_of[name] for name in kept]) if pulses else None,
        {},
        None,
        None,
    )


def train_of(data, name):
    """Return waveform and pulse train of a whole utterance."""
    waveform = data.waveforms.waveform(data.waveforms.row_of[name])
    train = np.zeros_like(waveform)
    places = data.pulses[data.pulses.row_of[name]]
    train[places] = waveform[places]
    return waveform, train


def test_a_crop_is_the_utterance_from_its_start_with_its_gain_and_its_pulses_are_cut_alike():
    data = cell_data()
    batch = training_batch(data, EVERY, options(), PULSES, CPU, NAMES, 3)
    assert batch.waveforms.shape == batch.pulses.shape == (len(LENGTHS), CROP)
    assert batch.waveforms.dtype == batch.pulses.dtype == torch.float32
    assert batch.n_samples.tolist() == [min(length, CROP) for length in LENGTHS]
    assert list(batch.sizes) == batch.n_samples.tolist()
    assert batch.n_samples.dtype == torch.int64
    for row, name in enumerate(data.utterances):
        drawn = draw(options(), LENGTHS[row], lambda n: 1 + n // 200, *NAMES, 3, name)
        crop = slice(drawn.start, drawn.start + CROP)
        for found, whole in zip((batch.waveforms[row], batch.pulses[row]), train_of(data, name), strict=True):
            n = len(whole[crop])
            np.testing.assert_allclose(found[:n], whole[crop] * drawn.gain, rtol=1e-6)
            assert (found[n:] == 0).all()
        assert float(batch.warps[row]) == pytest.approx(drawn.warp)
    assert int((batch.pulses != 0).sum()) > 60
    np.testing.assert_array_equal(batch.targets, data.examples.targets)


def test_pulses_of_a_batch_are_the_waveform_where_they_are():
    batch = training_batch(cell_data(), EVERY, options(), PULSES, CPU, NAMES, 0)
    at = batch.pulses != 0
    assert torch.equal(batch.pulses[at], batch.waveforms[at])


def test_what_becomes_of_an_utterance_depends_on_its_name_the_fit_and_the_epoch_alone():
    """Not on the order of utterances, on their batch, or on where they lie."""
    once = training_batch(cell_data(), EVERY, options(), PULSES, CPU, NAMES, 3)
    order = np.array([5, 0, 3])
    for again, rows in (
        (training_batch(cell_data(), order, options(), PULSES, CPU, NAMES, 3), order),
        (training_batch(cell_data(order=order), np.arange(3), options(), PULSES, CPU, NAMES, 3), order),
        (training_batch(cell_data(), np.array([5]), options(), PULSES, CPU, NAMES, 3), np.array([5])),
    ):
        for name, values in again._asdict().items():
            assert torch.equal(torch.as_tensor(values), torch.as_tensor(getattr(once, name))[rows]), name
    for names, period in ((NAMES, 4), ((*NAMES[:4], "03M"), 3), ((*NAMES[:3], 1, "03F"), 3), (("svc", *NAMES[1:]), 3)):
        other = training_batch(cell_data(), EVERY, options(), PULSES, CPU, names, period)
        assert not torch.isclose(other.warps, once.warps).any()


def test_spec_augment_hides_nothing_beyond_the_end_and_nothing_of_wav2vec():
    data = cell_data()
    masks = torch.stack([
        training_batch(data, EVERY, options(), SPECTROGRAM, CPU, NAMES, period).hidden for period in range(60)
    ])  # fmt: skip
    assert masks.shape[1:] == (len(LENGTHS), 1 + CROP // 200, 20)
    ever = masks.any(0)
    assert not ever[1, 1 + 900 // 200 :].any()
    assert ever[1, : 1 + 900 // 200].all()
    assert ever[0].all()
    assert not masks.all(3).all(2).all()
    batch = training_batch(cell_data(pulses=False), EVERY, options(), WAV2VEC, CPU, NAMES, 0)
    assert batch.hidden is None
    assert batch.pulses is None


def test_whole_utterances_are_tested_as_they_are():
    data = cell_data()
    rows = np.array([1, 5, 2])
    batch = whole_batch(data, rows, options(), PULSES, CPU)
    assert batch.hidden is None
    assert batch.warps.tolist() == [0, 0, 0]
    assert batch.n_samples.tolist() == [900, 8_100, 1_600]
    assert batch.sizes == (900, 8_100, 1_600)
    assert batch.waveforms.shape[1] % (PAD_TO_FRAMES * 200) == 0
    assert batch.waveforms.shape[1] < 8_100 + PAD_TO_FRAMES * 200
    for place, row in enumerate(rows):
        for found, whole in zip((batch.waveforms, batch.pulses), train_of(data, f"u{row}"), strict=True):
            np.testing.assert_array_equal(found[place, : len(whole)], whole)
            assert (found[place, len(whole) :] == 0).all()
    # wav2vec's normalisation would take padding for silence
    assert whole_batch(data, rows[:1], options(), WAV2VEC, CPU).waveforms.shape == (1, 900)


@pytest.mark.parametrize("info", [SPECTROGRAM, WAV2VEC])
@pytest.mark.parametrize("size", [4, 100])
def test_batches_of_whole_utterances_hold_each_once_and_no_more_samples_than_those_of_training(info, size):
    data, opts = cell_data(), options(training={"batch_size": size})
    rows = np.array([6, 5, 4, 3, 2, 1, 0])
    batches = whole_batches(data, rows, opts, info)
    assert sorted(np.concatenate(batches)) == sorted(EVERY)
    for places in batches:
        lengths = data.n_samples[rows[places]]
        assert len(places) <= size
        padded = whole_batch(data, rows[places], opts, info, CPU).waveforms.numel()
        assert padded <= size * CROP or len(places) == 1
        assert info is SPECTROGRAM or len(set(lengths)) == 1
    assert len(batches) < len(rows)


def test_crops_cover_every_sample_and_the_last_ends_with_the_utterance():
    data, opts = cell_data(), options()
    rows = np.array([5, 1, 3, 0, 2])
    batches = crop_batches(data, rows, opts)
    assert [len(crops.places) for crops in batches[:-1]] == [4] * (len(batches) - 1)
    covered = {place: np.zeros(LENGTHS[row], int) for place, row in enumerate(rows)}
    count = dict.fromkeys(covered, 0)
    for crops in batches:
        batch = crop_batch(data, rows, crops, opts, CPU)
        assert batch.waveforms.shape == (len(crops.places), CROP)
        for place, start, n, found in zip(*crops, batch.n_samples.tolist(), batch.waveforms, strict=True):
            whole, _ = train_of(data, f"u{rows[place]}")
            np.testing.assert_array_equal(found[:n], whole[start : start + n])
            assert n == min(CROP, len(whole))
            covered[place][start : start + n] += 1
            count[place] += 1
    assert all((times >= 1).all() for times in covered.values())
    # no more crops than it takes
    assert list(count.values()) == [-(-LENGTHS[row] // CROP) for row in rows]


def test_statistics_are_those_of_the_spectrogram_of_each_utterance():
    data, opts = cell_data(order=np.array([3, 0])), options()
    found = log_mel_statistics(data, opts.framing)
    for values, name in zip(found, ("u3", "u0"), strict=True):
        frames = spectrogram.build({"n_mels": 20})(train_of(data, name)[0]).astype(np.float64)
        np.testing.assert_allclose(values, [*frames.mean(0), *frames.std(0)], rtol=1e-4)


def test_gain_and_crop_of_the_pulses_spectrogram_are_those_of_the_waveforms():
    """The spectrogram of a crop's pulses is that of the feature, cut and scaled before it is framed."""
    data = cell_data()
    batch = training_batch(data, EVERY, options(warped=False), PULSES, CPU, NAMES, 1)
    front_end = LogMelFrontEnd(options().framing)
    frames = front_end(batch.pulses, batch.n_samples, batch.warps)
    feature = spectrogram.build({"n_mels": 20})
    for row, name in enumerate(data.utterances):
        drawn = draw(options(), LENGTHS[row], lambda n: 1 + n // 200, *NAMES, 1, name)
        crop = train_of(data, name)[1][drawn.start : drawn.start + CROP] * np.float32(drawn.gain)
        expected = feature(crop)
        np.testing.assert_allclose(frames[row, : len(expected)], expected, atol=1e-3)


# ---- reading


def speech(pitch, n_samples, seed):
    time = np.arange(n_samples) / 16_000
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    voiced = sum(np.cos(2 * np.pi * partial * pitch * time) / partial for partial in range(1, 21)) if pitch else 0
    return (2000 * voiced + (20 if pitch else 500) * noise).astype(np.int16)


@pytest.fixture
def files(tmp_path):
    """Six utterances in two shards of audio; one is not labelled, in two Praat finds no pulse."""
    emotions = ["anger", "sadness", None, "anger", "sadness", "anger"]
    pitches = [120, 0, 150, 200, 0, 130]
    shards = [tmp_path / "audio" / f"{place:04d}.parquet" for place in range(2)]
    for place, shard in enumerate(shards):
        items = [
            PreparedUtterance(f"u{row}", speech(pitches[row], 8_000 + row, row), 16_000, 1, "PCM_16", 0)
            for row in range(3 * place, 3 * place + 3)
        ]
        said = {"corpus": "toy", "synthetic": False, "n_shards": 2, "options": {}, "shard": shard.stem}
        write_prepared(shard, items, {**said, "sources": shard.stem})
        find_pulses(argparse.Namespace(audio=shard, pulses=tmp_path / "pulses" / shard.name, parameters={}, code="0"))
    pack_waveforms(shards, tmp_path / "packed.npy", tmp_path / "packed.parquet")
    rows = [{UTTERANCE: f"u{row}", "speaker": f"s{row}", "emotion": emotions[row]} for row in range(6)]
    roles = {f"u{row}": role for row, role in enumerate(("train", "train", "train", "val", "test", "test"))}
    (tmp_path / "wav2vec.pt").write_bytes(b"weights")
    record = describe_files("wav2vec", "stand-in", None, tmp_path / "wav2vec.pt")
    write_sealed_json(tmp_path / "wav2vec.json", {name: getattr(record, name) for name in record.__slots__})
    return Files(
        write_utterances(tmp_path, rows=rows),
        (write_split(tmp_path, {"one": roles, "two": roles}, protocol="speaker-0"),),
        tmp_path / "packed.parquet",
        tuple(tmp_path / "pulses" / shard.name for shard in shards),
        (tmp_path / "wav2vec.json",),
    )


def test_a_cell_reads_labelled_utterances_and_what_its_row_needs(files):
    data = load_cell(files, PULSES, options(folds_used=1), [7])
    assert data.utterances == ["u0", "u1", "u3", "u4", "u5"]
    assert data.speakers == ["s0", "s1", "s3", "s4", "s5"]
    assert data.classes == ("anger", "sadness")
    assert data.excluded == {"no label of the study": 1}
    assert data.n_samples.tolist() == [8_000, 8_001, 8_003, 8_004, 8_005]
    assert list(data.roles) == [7]
    assert data.roles[7]["two"].tolist() == ["train", "train", "val", "test", "test"]
    assert (data.folds_used, data.weights) == (1, None)
    batch = whole_batch(data, np.arange(5), options(), PULSES, CPU)
    feature = pitch_pulse.build({})
    for row, n in enumerate(data.n_samples):
        waveform = batch.waveforms[row, :n].numpy()
        np.testing.assert_array_equal(batch.pulses[row, :n], feature.pulse_train(waveform))
    assert [bool(train.any()) for train in batch.pulses] == [True, False, True, False, True]


def test_draws_of_speakers_are_one_fold_of_every_run(files, tmp_path):
    draws = []
    for run, tested in enumerate(("u4", "u5")):
        roles = {name: "test" if name == tested else "train" for name in ("u0", "u1", "u3", "u4", "u5")}
        draws.append(write_split(tmp_path, {f"speaker-{run}": roles}, protocol=f"speaker-{run}"))
    data = load_cell(files._replace(splits=tuple(draws)), PULSES, options(), [0, 1])
    assert [list(of_run) for of_run in data.roles.values()] == [["all"], ["all"]]
    assert [of_run["all"].tolist().index("test") for of_run in data.roles.values()] == [3, 4]


def test_a_row_without_pulses_reads_none_and_one_on_wav2vec_its_weights(files, tmp_path):
    plain = load_cell(files._replace(pulses=(), weights=()), SPECTROGRAM, options(), [0])
    assert (plain.pulses, plain.pulse_rows, plain.weights) == (None, None, None)
    assert load_cell(files._replace(pulses=()), WAV2VEC, options(), [0]).weights == tmp_path / "wav2vec.pt"
    with pytest.raises(WeightsError, match="wav2vec needs one record of its weights, and 0 are given"):
        load_cell(files._replace(weights=()), WAV2VEC, options(), [0])
    (tmp_path / "wav2vec.pt").write_bytes(b"changed")
    with pytest.raises(WeightsError, match=r"wav2vec\.pt: does not match the SHA-256"):
        load_cell(files, WAV2VEC, options(), [0])


def test_whom_praat_cannot_analyse_is_left_out_and_counted(files, monkeypatch):
    opened = CorpusPulses.open(files.pulses)
    opened.metadata["rejected"] = {"u3": "Praat could not look"}
    monkeypatch.setattr(CorpusPulses, "open", lambda shards: opened)
    data = load_cell(files, PULSES, options(), [0])
    assert data.utterances == ["u0", "u1", "u4", "u5"]
    assert data.excluded == {"no label of the study": 1, "Praat cannot look for pitch pulses": 1}
    assert data.rejected == ("u3",)
    assert load_cell(files, SPECTROGRAM, options(), [0]).utterances == ["u0", "u1", "u3", "u4", "u5"]


def test_pulses_of_other_audio_are_refused(files, monkeypatch):
    opened = CorpusPulses.open(files.pulses)
    opened.metadata["sources"] = {"audio": ["0" * 64, "1" * 64]}
    monkeypatch.setattr(CorpusPulses, "open", lambda shards: opened)
    with pytest.raises(StoreError, match=r"0000\.parquet: found in other audio than .*packed\.parquet holds"):
        load_cell(files, PULSES, options(), [0])


def test_what_is_missing_is_told(files):
    with pytest.raises(StoreError, match="1 shards given of a corpus of 2"):
        load_cell(files._replace(pulses=files.pulses[:1]), PULSES, options(), [0])
    with pytest.raises(TrainingError, match="no utterance is joy"):
        load_cell(files, SPECTROGRAM, options(emotions=["anger", "joy"]), [0])
    with pytest.raises(ConfigError, match=r"temporal\.framing\.n_mels"):
        load_cell(files, SPECTROGRAM, options(framing={"n_mels": 500}), [0])
