import gc
import json
import warnings
from argparse import Namespace

import numpy as np
import pytest
import soxr
import torch

from serflow.audio.decode import decode
from serflow.backbones._allosaurus_frontend import FrontEnd, FrontEndOptions
from serflow.backbones._allosaurus_network import Allosaurus, read_model
from serflow.backbones.allosaurus import load, write_stand_in
from serflow.errors import WeightsError
from serflow.features.base import load_feature


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a model's folder with two layers, written as a release is."""
    path = write_stand_in(tmp_path_factory.mktemp("allosaurus"), seed=0)
    config = json.loads((path / "am_config.json").read_text()) | {"layer_size": 2}
    (path / "am_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    torch.save(Allosaurus(120, 320, 2, config["phone_size"]).state_dict(), path / "model.pt")
    return path


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder, "cpu", "fp32")


@pytest.fixture(scope="module")
def peer(folder):
    """Return the front end and the network of the package allosaurus, reading the same folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its sources, when they are compiled
        pytest.importorskip("allosaurus", reason="the package allosaurus (GPL-3) is not installed")
        from allosaurus.am.factory import read_am
        from allosaurus.pm.factory import read_pm

        options = Namespace(device_id=-1)
        front, network = read_pm(folder, options), read_am(folder, options).eval()
        gc.collect()  # it leaves files open
    return front, network


def as_int16(waveform):
    return np.round(waveform * 32768).astype(np.int16)


def syllables(n_samples, seed=0):
    generator = np.random.default_rng(seed)
    noise = np.convolve(generator.standard_normal(n_samples), np.ones(4) / 4, mode="same")
    shape = 0.2 * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * np.arange(n_samples) / 8000))
    return as_int16(noise * shape).astype(np.float32) / 32768


def peer_frames(front, waveform):
    from allosaurus.audio import Audio

    return front.compute(Audio(as_int16(waveform), 8000))


def compare(backbone, peer, waveform):
    """Return the largest differences of front end and states from the package's."""
    front, network = peer
    expected = peer_frames(front, waveform)
    ours = backbone.front(waveform)
    assert ours.shape == expected.shape
    with torch.inference_mode():
        states, _ = network(torch.from_numpy(expected)[None], torch.tensor([len(expected)]), return_lstm=True)
        (from_theirs,) = backbone._run([expected], "blstm")
    return np.abs(ours - expected).max(), np.abs(from_theirs - states[:, 0].numpy()).max()


@pytest.mark.parametrize("n_samples", [8000, 8079, 16_433, 23_001])
def test_front_end_and_states_are_those_of_the_package(backbone, peer, n_samples):
    frames, states = compare(backbone, peer, syllables(n_samples))
    assert frames < 1e-4
    assert states < 1e-5


def test_front_end_and_states_are_those_of_the_package_on_speech(backbone, peer, real_data):
    files = sorted((real_data / "emodb").rglob("*.flac"))[::90]
    for file in files:
        speech = soxr.resample(decode(file).waveform, 16_000, 8000)
        frames, states = compare(backbone, peer, as_int16(speech).astype(np.float32) / 32768)
        assert frames < 1e-4
        assert states < 1e-5


def test_three_frames_stand_side_by_side_and_every_third_is_kept(folder):
    options = json.loads((folder / "pm_config.json").read_text())
    stacked = FrontEnd(FrontEndOptions.read(folder, options))(syllables(8000))
    single = FrontEnd(FrontEndOptions.read(folder, options | {"feature_window": 1}))(syllables(8000))
    assert single.shape == (98, 40)
    assert stacked.shape == (33, 120)
    np.testing.assert_array_equal(stacked[1], single[2:5].ravel())
    # the first frame has no neighbour before it: the package takes the last one
    np.testing.assert_array_equal(stacked[0], single[[97, 0, 1]].ravel())


def test_coefficients_have_mean_0_and_deviation_1(folder):
    options = json.loads((folder / "pm_config.json").read_text()) | {"feature_window": 1}
    frames = FrontEnd(FrontEndOptions.read(folder, options))(syllables(24_000))
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)


@pytest.mark.parametrize(
    "waveform",
    [np.zeros(4000, np.float32), np.ones(4000, np.float32), syllables(150), syllables(200), np.ones(1, np.float32)],
    ids=["silence", "constant", "short", "one frame", "one sample"],
)
def test_where_the_package_gives_nan_or_nothing_the_result_is_defined(backbone, waveform):
    (frames,) = backbone([waveform], "blstm")
    assert len(frames) >= 1
    assert np.isfinite(frames).all()
    if not waveform[1:].any() or np.ptp(waveform) == 0:
        assert not backbone.front(np.tile(waveform, 4000)[:4000]).any()


def test_utterances_of_all_lengths_share_a_batch(backbone):
    waveforms = [syllables(n, seed=n) for n in (16_000, 3000, 9000, 240, 16_000)] * 4
    for output in ("blstm", "phones"):
        together = backbone(waveforms, output)
        for waveform, values in zip(waveforms[:5], together, strict=False):
            np.testing.assert_allclose(values, backbone([waveform], output)[0], atol=1e-5)


def test_the_feature_takes_16_khz(backbone):
    feature = load_feature("allosaurus", {}, backbone)
    assert (feature.info.sample_rate, feature.info.dim) == (16_000, 640)
    assert feature.info.hop_s == pytest.approx(0.03)
    speech = soxr.resample(syllables(16_000), 8000, 16_000)
    np.testing.assert_array_equal(feature(speech), backbone([soxr.resample(speech, 16_000, 8000)], "blstm")[0])
    assert load_feature("allosaurus", {"output": "phones"}, backbone).info.units == "logit"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("pm_config.json", {"model": "mfcc"}, "only mfcc_hires is read"),
        ("pm_config.json", {"feature_window": 5}, "feature_window"),
        ("am_config.json", {"model": "transformer"}, "is for transformer, not allosaurus"),
        ("am_config.json", {"layer_size": 3}, r"blstm_layer\.weight_ih_l2 is absent"),
        ("am_config.json", {"phone_size": 50}, r"phone_layer\.weight has the shape"),
    ],
)
def test_a_folder_that_is_no_such_model_is_refused(folder, tmp_path, file, change, said):
    for name in ("pm_config.json", "am_config.json", "model.pt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    content = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(content | change))
    with pytest.raises(WeightsError, match=said):
        read_model(tmp_path)


@pytest.mark.parametrize("key", ["sample_rate", "cep_size", "low_freq"])
def test_a_missing_entry_of_the_configuration_is_named(folder, tmp_path, key):
    for name in ("am_config.json", "model.pt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    content = json.loads((folder / "pm_config.json").read_text())
    del content[key]
    (tmp_path / "pm_config.json").write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=rf"pm_config\.json: has no entry {key}; .*backbones\.allosaurus\.weights"):
        read_model(tmp_path)
    (tmp_path / "pm_config.json").unlink()
    with pytest.raises(WeightsError, match=r"pm_config\.json: cannot be read"):
        read_model(tmp_path)
