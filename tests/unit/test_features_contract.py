import numpy as np
import pytest

from serflow.errors import AudioError, ConfigError
from serflow.features.base import Feature, FeatureInfo, feature_names, load_feature, merge_parameters


def waveforms(sample_rate):
    noise = np.random.default_rng(0).standard_normal(sample_rate).astype(np.float32)
    return {
        "noise": 0.1 * noise,
        "silence": np.zeros(sample_rate, np.float32),
        "short": 0.1 * noise[: sample_rate // 10],
        "one sample": noise[:1],
        "clipped": np.clip(100 * noise, -1, 1),
        "constant": np.ones(sample_rate, np.float32),
    }


@pytest.fixture(params=feature_names())
def feature(request) -> Feature:
    return load_feature(request.param, {})


@pytest.fixture(params=["noise", "silence", "short", "one sample", "clipped", "constant"])
def waveform(request, feature):
    return waveforms(feature.info.sample_rate)[request.param]


def test_log_mel_is_discovered():
    assert "mfb" in feature_names()
    assert "base" not in feature_names()


def test_the_name_is_that_of_the_module(request, feature):
    assert isinstance(feature.info, FeatureInfo)
    assert feature.info.name in request.node.name


def test_info_is_complete(feature):
    info = feature.info
    assert info.sample_rate > 0
    assert info.dim > 0
    assert info.units
    assert (info.hop_s is None) == (info.kind == "vector")


def test_frames_are_finite_float32_of_the_declared_dimension(feature, waveform):
    frames = feature(waveform)
    assert frames.dtype == np.float32
    assert frames.ndim == 2
    assert frames.shape[1] == feature.info.dim
    assert np.isfinite(frames).all()


def test_as_many_frames_as_the_hop_says(feature, waveform):
    expected = 1.0
    if feature.info.hop_s is not None:
        expected = len(waveform) / feature.info.sample_rate / feature.info.hop_s
    assert len(feature(waveform)) >= 1
    assert abs(len(feature(waveform)) - expected) <= 2


def test_the_same_waveform_gives_the_same_bytes(feature, waveform):
    again = load_feature(feature.info.name, {})
    first = feature(waveform)
    assert feature(waveform).tobytes() == first.tobytes()
    assert again(waveform).tobytes() == first.tobytes()


def test_different_waveforms_give_different_frames(feature):
    made = waveforms(feature.info.sample_rate)
    assert not np.allclose(feature(made["noise"]), feature(made["silence"]))


def test_an_empty_waveform_is_refused(feature):
    with pytest.raises(AudioError, match="at least one sample"):
        feature(np.zeros(0, np.float32))


def test_an_unknown_parameter_is_refused(feature):
    with pytest.raises(ConfigError, match="no_such_parameter"):
        load_feature(feature.info.name, {"no_such_parameter": 1})


def test_an_unknown_feature_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no feature 'mfbb'; known: .*mfb"):
        load_feature("mfbb", {})
    with pytest.raises(ConfigError, match="no feature 'base'"):
        load_feature("base", {})


def test_merging_names_the_nearest_parameter_and_takes_whole_numbers_for_floats():
    defaults = {"hop_length": 160, "floor": 1e-6}
    with pytest.raises(ConfigError, match="did you mean 'hop_length'"):
        merge_parameters("some", defaults, {"hop": 80})
    merged = merge_parameters("some", defaults, {"floor": 1})
    assert merged == {"hop_length": 160, "floor": 1.0}
    assert isinstance(merged["floor"], float)
