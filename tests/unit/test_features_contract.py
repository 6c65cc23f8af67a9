"""What every feature promises. A feature of your own is found by its file name and tested like the others."""

import functools
import importlib

import numpy as np
import pytest

from serflow.backbones.base import Backbone, backbone_module, load_backbone
from serflow.config import Config
from serflow.errors import AudioError, ConfigError
from serflow.features.base import (
    BatchFeature,
    Feature,
    FeatureInfo,
    feature_names,
    load_feature,
    merge_parameters,
)

CONFIG = Config()
# every feature of config.yaml, and every module that is not in it yet
NAMES = sorted({*CONFIG.features, *feature_names()})
WAVEFORMS = ("noise", "silence", "short", "one sample", "clipped", "constant")


def extractor_of(name: str) -> str:
    return CONFIG.extractor(name) if name in CONFIG.features else name


def parameters_of(name: str) -> dict:
    return CONFIG.parameters(name) if name in CONFIG.features else {}


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    """Return the stand-in of a backbone, loaded once."""

    @functools.cache
    def load(name: str) -> Backbone:
        path = backbone_module(name).write_stand_in(tmp_path_factory.mktemp(name), seed=0)
        return load_backbone(name, path)

    return load


@pytest.fixture(scope="session")
def made(stand_in):
    """Return a feature with the parameters of config.yaml and, where it needs one, a stand-in network."""

    def make(name: str, **changed) -> Feature:
        backbone = CONFIG.backbone(name) if name in CONFIG.features else None
        network = None if backbone is None else stand_in(backbone)
        return load_feature(extractor_of(name), {**parameters_of(name), **changed}, network)

    return make


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


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def feature(name, made) -> Feature:
    return made(name)


@pytest.fixture(params=WAVEFORMS)
def waveform(request, feature):
    return waveforms(feature.info.sample_rate)[request.param]


def test_the_features_of_the_papers_are_discovered():
    papers = {"mfb", "mfcc", "mfcc_kaldi", "energy_vad", "spectrogram", "pitch_pulse"}
    networks = {"wav2vec", "wav2vec2", "ge2e", "byol", "allosaurus"}
    assert papers | networks <= set(feature_names())
    assert "base" not in feature_names()


def test_the_name_is_that_of_the_module(name, feature):
    assert isinstance(feature.info, FeatureInfo)
    assert feature.info.name == extractor_of(name)


def test_config_repeats_the_defaults_of_the_module(name):
    module = importlib.import_module(f"serflow.features.{extractor_of(name)}")
    given = parameters_of(name)
    if extractor_of(name) == name and name in CONFIG.features:
        assert given == module.DEFAULTS
    assert given.keys() <= module.DEFAULTS.keys()


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
    """From a tenth of a second on; what is shorter is continued by zeros."""
    assert len(feature(waveform)) >= 1
    if feature.info.hop_s is None:
        assert len(feature(waveform)) == 1
    elif len(waveform) >= feature.info.sample_rate and feature.info.hop_s < 0.1:
        assert abs(len(feature(waveform)) - len(waveform) / feature.info.sample_rate / feature.info.hop_s) <= 3


def test_the_same_waveform_gives_the_same_bytes(name, feature, waveform, made):
    first = feature(waveform)
    assert feature(waveform).tobytes() == first.tobytes()
    assert made(name)(waveform).tobytes() == first.tobytes()


def test_several_utterances_at_once_give_what_each_gives_alone(feature):
    if not isinstance(feature, BatchFeature):
        pytest.skip("computed one by one")
    noise = np.random.default_rng(1).standard_normal(40_000).astype(np.float32) / 10
    several = [noise, noise[:24_000], noise[5_000:29_000], noise[:1_600], noise[:100]]
    batch = feature.batch(several)
    assert len(batch) == len(several)
    for together, waveform in zip(batch, several, strict=True):
        alone = feature(waveform)
        assert together.dtype == np.float32
        assert together.shape == alone.shape
        np.testing.assert_allclose(together, alone, atol=1e-5 * max(1.0, float(np.abs(alone).max())))


def test_different_waveforms_give_different_frames(feature):
    time_s = np.arange(feature.info.sample_rate) / feature.info.sample_rate
    voice = sum(np.sin(2 * np.pi * 120 * harmonic * time_s) / harmonic for harmonic in range(1, 30))
    silence = waveforms(feature.info.sample_rate)["silence"]
    assert not np.allclose(feature((0.1 * voice).astype(np.float32)), feature(silence))


def test_an_empty_waveform_is_refused(feature):
    with pytest.raises(AudioError, match="at least one sample"):
        feature(np.zeros(0, np.float32))


def test_an_unknown_parameter_is_refused(name, made):
    with pytest.raises(ConfigError, match="no_such_parameter"):
        made(name, no_such_parameter=1)


def test_a_network_is_asked_for_where_it_is_needed_and_refused_where_not(stand_in):
    with pytest.raises(ConfigError, match=r"ge2e needs a pretrained network; set features\.ge2e\.backbone"):
        load_feature("ge2e", {})
    with pytest.raises(ConfigError, match="mfb takes no pretrained network"):
        load_feature("mfb", {}, stand_in("byol"))


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
