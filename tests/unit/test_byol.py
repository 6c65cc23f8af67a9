import hashlib
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from serflow.backbones import byol
from serflow.backbones._byol_network import (
    Encoder,
    LogMelPicture,
    PictureStatistics,
    picture_statistics,
    pool_frames,
    standardise,
)
from serflow.backbones.base import StandardisedBackbone, load_backbone, releases
from serflow.errors import AudioError, ConfigError, WeightsError
from serflow.features.base import load_feature

SERAB_EMODB_STATISTICS = (-2.6927, 4.1031)
"""Mean and deviation of EmoDB's training part (SERAB, settings.py): averages of those of the utterances."""


@pytest.fixture(scope="module")
def stand_in_path(tmp_path_factory):
    return byol.write_stand_in(tmp_path_factory.mktemp("byol"), seed=0)


@pytest.fixture(scope="module")
def stand_in(stand_in_path):
    return load_backbone("byol", stand_in_path)


@pytest.fixture(scope="module")
def pretrained(real_data) -> Path:
    (path,) = (real_data / "weights" / "byol-s").glob("*.pth")
    return path


@pytest.fixture(scope="module")
def emodb(real_data):
    return sorted((real_data / "emodb" / "wav").glob("*.flac"))


def read(path):
    return soundfile.read(path, dtype="float32")[0]


def noise(n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def librosa_picture(waveform, win_length=400):
    """Return what torchaudio's MelSpectrogram gives with its defaults: HTK's mel, no area, mirrored ends."""
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=16_000,
        n_fft=1024,
        win_length=win_length,
        hop_length=160,
        n_mels=64,
        fmin=60,
        fmax=7800,
        htk=True,
        norm=None,
        pad_mode="reflect",
    )
    return np.log(mel + np.finfo(np.float32).eps)


def plain_forward(state, picture):
    """Return vector and frames ``(n_frames, dim)`` of a standardised picture, layer by layer."""
    maps = torch.from_numpy(picture)[None, None]
    for conv in (0, 4, 8):
        layer = {name: state[f"features.{conv}.{name}"] for name in ("weight", "bias")}
        norm = {
            name: state[f"features.{conv + 1}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        }
        maps = F.max_pool2d(F.relu(F.batch_norm(F.conv2d(maps, **layer, padding=1), **norm)), 2)
    frames = maps[0].permute(2, 1, 0).reshape(maps.shape[3], -1)
    for layer in ("fc.0", "fc.3"):
        frames = F.relu(F.linear(frames, state[f"{layer}.weight"], state[f"{layer}.bias"]))
    return (frames.mean(0) + frames.amax(0)).numpy(), frames.numpy()


# ---- the log-mel picture


@pytest.mark.parametrize("win_length", [400, 1024])
@pytest.mark.parametrize("n_samples", [1120, 1121, 16_000, 41_000, 50_001])
def test_the_picture_is_librosas_with_torchaudios_settings(n_samples, win_length):
    waveform = noise(n_samples)
    picture = LogMelPicture(win_length)(waveform)
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, librosa_picture(waveform, win_length), atol=1e-3)


def test_the_picture_of_real_speech_is_librosas(emodb):
    picture = LogMelPicture(400)
    for path in emodb[::50]:
        np.testing.assert_allclose(picture(read(path)), librosa_picture(read(path)), atol=2e-3)


def test_the_statistics_of_emodb_are_those_that_serab_publishes(emodb):
    """Another scale, filter, window or power would move them by 0.1 to 5."""
    picture = LogMelPicture(400)
    pictures = [picture(read(path)) for path in emodb]
    mean = np.mean([each.mean() for each in pictures])
    deviation = np.mean([each.std() for each in pictures])
    assert mean == pytest.approx(SERAB_EMODB_STATISTICS[0], abs=0.02)
    assert deviation == pytest.approx(SERAB_EMODB_STATISTICS[1], abs=0.05)


def test_a_standardised_picture_has_mean_0_and_deviation_1():
    standardised = standardise(LogMelPicture(400)(noise(30_000)))
    assert standardised.dtype == np.float32
    assert standardised.mean() == pytest.approx(0, abs=1e-5)
    assert standardised.std() == pytest.approx(1, abs=1e-4)


def test_a_constant_picture_becomes_0():
    np.testing.assert_allclose(standardise(LogMelPicture(400)(np.zeros(16_000, np.float32))), 0, atol=1e-6)


def test_a_picture_is_standardised_by_others_as_they_say():
    picture = np.array([[1.0, 2.0], [3.0, 6.0]], np.float32)
    assert picture_statistics(picture) == pytest.approx((3.0, np.sqrt(14 / 3)))
    given = standardise(picture, PictureStatistics(1.0, 2.0))
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, [[0.0, 0.5], [1.0, 2.5]])
    silence = np.full((2, 3), -16.0, np.float32)
    np.testing.assert_allclose(standardise(silence, PictureStatistics(-4.0, 4.0)), -3.0)


# ---- the network


def test_the_released_encoder_gives_what_its_layers_give_one_by_one(pretrained, emodb):
    state = torch.load(pretrained, weights_only=True)
    released = load_backbone("byol", pretrained)
    waveforms = [read(path) for path in emodb[::60]]
    vectors, frames = (released(waveforms, output) for output in ("vector", "frames"))
    for waveform, vector, rows in zip(waveforms, vectors, frames, strict=True):
        picture = librosa_picture(waveform)
        picture = ((picture - picture.mean()) / picture.std(ddof=1)).astype(np.float32)
        expected_vector, expected_rows = plain_forward(state, picture)
        assert vector.shape == (1, 512)
        np.testing.assert_allclose(vector[0], expected_vector, atol=5e-3)
        np.testing.assert_allclose(rows, expected_rows, atol=5e-3)


def test_folding_changes_a_random_encoder_by_rounding_alone(tmp_path):
    torch.manual_seed(0)
    network = Encoder(dim=32, channels=16)
    network(torch.randn(4, 1, 64, 40))  # moves the statistics of the batch normalisation
    torch.save(network.state_dict(), tmp_path / "encoder.pth")
    loaded = load_backbone("byol", tmp_path / "encoder.pth")
    assert (loaded.description["dim"], loaded.description["channels"]) == (32, 16)
    waveform = noise(30_000)
    vector, frames = plain_forward(network.state_dict(), standardise(LogMelPicture(400)(waveform)))
    np.testing.assert_allclose(loaded([waveform], "frames")[0], frames, atol=1e-5)
    np.testing.assert_allclose(loaded([waveform], "vector")[0][0], vector, atol=1e-5)


def test_emotions_of_unseen_speakers_are_told_apart(pretrained, emodb):
    """A linear probe on every third file, leaving one speaker out; chance is 0.14."""
    paths = emodb[::3]
    vectors = np.concatenate(load_backbone("byol", pretrained)([read(path) for path in paths], "vector"))
    emotions = np.array([path.stem[5] for path in paths])
    speakers = np.array([path.stem[:2] for path in paths])
    predicted = emotions.copy()
    for speaker in np.unique(speakers):
        held_out = speakers == speaker
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        probe.fit(vectors[~held_out], emotions[~held_out])
        predicted[held_out] = probe.predict(vectors[held_out])
    assert recall_score(emotions, predicted, average="macro") > 0.6


def test_pooling_is_the_mean_plus_the_maximum():
    frames = torch.tensor([[[1.0, 0.0], [3.0, 4.0]]])
    torch.testing.assert_close(pool_frames(frames), torch.tensor([[5.0, 6.0]]))


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(1, 1), (1119, 1), (1120, 1), (2399, 1), (2400, 2), (16_000, 12), (160_000, 125)]
)
def test_a_frame_every_80_ms(stand_in, n_samples, n_frames):
    assert stand_in([noise(n_samples)], "frames")[0].shape == (n_frames, 512)


def test_short_audio_is_continued_by_zeros(stand_in):
    short = noise(500)
    continued = np.pad(short, (0, 620))
    np.testing.assert_array_equal(stand_in([short], "vector")[0], stand_in([continued], "vector")[0])


def test_several_utterances_give_what_each_gives_alone(stand_in):
    waveforms = [noise(n_samples, seed=n_samples) for n_samples in (40_000, 800, 40_000, 16_000)]
    for output in ("vector", "frames"):
        for together, waveform in zip(stand_in(waveforms, output), waveforms, strict=True):
            assert together.dtype == np.float32
            np.testing.assert_array_equal(together, stand_in([waveform], output)[0])
    assert stand_in([], "vector") == []


def test_the_level_of_a_recording_does_not_matter(stand_in):
    waveform = noise(30_000)
    (vector,) = stand_in([waveform], "vector")
    (louder,) = stand_in([4 * waveform], "vector")
    np.testing.assert_allclose(louder, vector, atol=1e-3)
    (other,) = stand_in([np.cumsum(waveform, dtype=np.float32) / 10], "vector")
    assert np.abs(other - vector).max() > 0.05


def test_a_network_that_is_told_standardises_all_by_it_and_leaves_the_other_as_it_was(stand_in):
    assert isinstance(stand_in, StandardisedBackbone)
    waveform = noise(30_000)
    (alone,) = stand_in([waveform], "vector")
    own = stand_in.measure(waveform)
    assert own == pytest.approx(picture_statistics(LogMelPicture(400)(waveform)))
    np.testing.assert_array_equal(stand_in.standardised_by(*own)([waveform], "vector")[0], alone)
    told = stand_in.standardised_by(own[0] + 2, 3 * own[1])
    assert np.abs(told([waveform], "vector")[0] - alone).max() > 1e-3
    assert [each.description["normalisation"] for each in (told, stand_in)] == ["corpus", "utterance"]
    np.testing.assert_array_equal(stand_in([waveform], "vector")[0], alone)
    # the level of a recording is now heard
    assert np.abs(told([4 * waveform], "vector")[0] - told([waveform], "vector")[0]).max() > 1e-3


def test_the_feature_standardises_as_its_network_does(stand_in):
    waveform = noise(30_000)
    told = stand_in.standardised_by(-3.0, 5.0)
    feature = load_feature("byol", {"standardise": "corpus"}, told)
    np.testing.assert_array_equal(feature(waveform), told([waveform], "vector")[0])
    plain = load_feature("byol", {}, stand_in)
    np.testing.assert_array_equal(
        plain(waveform), load_feature("byol", {"standardise": "utterance"}, stand_in)(waveform)
    )
    with pytest.raises(ConfigError, match="standardise is 'corpus', and the network standardises by utterance"):
        load_feature("byol", {"standardise": "corpus"}, stand_in)
    with pytest.raises(ConfigError, match="standardise is 'utterance', and the network standardises by corpus"):
        load_feature("byol", {}, told)
    with pytest.raises(ConfigError, match="standardise is 'speaker'; known: utterance, corpus"):
        load_feature("byol", {"standardise": "speaker"}, stand_in)


@pytest.mark.parametrize("output", ["vector", "frames"])
@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(16_000, np.float32),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
        np.ones(50_000, np.float32),
        np.clip(100 * noise(48_000), -1, 1),
        np.full(16_000, 1e-38, np.float32),
    ],
    ids=["silence", "a zero", "a one", "constant", "clipped", "denormal"],
)
def test_odd_audio_has_finite_results(stand_in, waveform, output):
    (result,) = stand_in([waveform], output)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros(100), np.zeros((2, 100), np.float32)])
def test_what_is_not_one_channel_of_float32_is_refused(stand_in, waveform):
    with pytest.raises(AudioError, match="float32"):
        stand_in([waveform], "vector")


def test_bfloat16_is_close_to_float32(stand_in_path, stand_in, bfloat16):
    waveform = noise(30_000)
    (rough,) = load_backbone("byol", stand_in_path, precision="bf16")([waveform], "vector")
    (exact,) = stand_in([waveform], "vector")
    assert rough.dtype == np.float32
    assert (rough * exact).sum() / np.linalg.norm(rough) / np.linalg.norm(exact) > 0.999


# ---- files of weights


def test_the_default_release_is_the_file_at_hand(pretrained):
    release = byol.RELEASES[0]
    assert release.name == "byol_s_512"
    assert release.address.endswith(f"/{pretrained.name}")
    assert release.digest == f"sha256:{hashlib.sha256(pretrained.read_bytes()).hexdigest()}"
    assert release.size == pretrained.stat().st_size
    description = load_backbone("byol", pretrained).description
    assert (description["dim"], description["win_length"]) == (512, 400)


def test_byol_a_may_not_be_passed_on_and_byol_s_may():
    for name, release in releases("byol").items():
        assert release.redistributable == name.startswith("byol_s_")
    assert {f"byol_{kind}_{dim}" for kind in "as" for dim in (512, 1024, 2048)} == set(releases("byol"))


@pytest.mark.parametrize("kind", ["sha256", "git"])
def test_the_window_of_byol_a_is_taken_for_its_files(stand_in_path, monkeypatch, kind):
    content = stand_in_path.read_bytes()
    digests = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "git": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }
    assert load_backbone("byol", stand_in_path).description["win_length"] == 400
    monkeypatch.setattr(byol, "_BYOL_A_RELEASES", (byol._byol_a(512, f"{kind}:{digests[kind]}"),))
    assert load_backbone("byol", stand_in_path).description["win_length"] == 1024


def test_the_stand_in_is_the_same_file_for_a_seed(tmp_path, stand_in_path):
    written = []
    for name, seed in [("a", 0), ("b", 1)]:
        (tmp_path / name).mkdir()
        written.append(byol.write_stand_in(tmp_path / name, seed).read_bytes())
    assert written[0] == stand_in_path.read_bytes()
    assert written[1] != written[0]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda state: state.pop("fc.3.bias"), "fc.3.bias is absent"),
        (lambda state: state.pop("features.0.weight"), "features.0.weight is absent"),
        (lambda state: state.update({"fc.0.weight": torch.zeros(512, 32)}), r"fc.0.weight has the shape \(512, 32\)"),
        (lambda state: state["features.5.running_var"].fill_(torch.inf), "not finite"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(stand_in_path, tmp_path, damage, told):
    state = torch.load(stand_in_path, weights_only=True)
    damage(state)
    path = tmp_path / "damaged.pth"
    torch.save(state, path)
    with pytest.raises(WeightsError, match=told) as caught:
        load_backbone("byol", path)
    assert str(path) in str(caught.value)
    assert "backbones.byol.weights" in str(caught.value)


def test_what_is_no_state_of_a_network_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="no state of a network"):
        load_backbone("byol", path)
    path.write_text("<html>404</html>")
    with pytest.raises(WeightsError, match=r"weights\.pth: is no checkpoint"):
        load_backbone("byol", path)


# ---- the feature


def test_the_feature_gives_the_output_that_is_named(stand_in):
    waveform = noise(40_000)
    vector = load_feature("byol", {}, stand_in)
    assert (vector.info.kind, vector.info.dim, vector.info.hop_s) == ("vector", 512, None)
    np.testing.assert_array_equal(vector(waveform), stand_in([waveform], "vector")[0])
    frames = load_feature("byol", {"output": "frames"}, stand_in)
    assert (frames.info.kind, frames.info.dim, frames.info.hop_s) == ("frames", 512, 0.08)
    np.testing.assert_array_equal(frames.batch([waveform])[0], stand_in([waveform], "frames")[0])


def test_an_unknown_output_is_refused_with_the_known_ones(stand_in):
    with pytest.raises(ConfigError, match="no output 'vectors'; known: vector, frames"):
        load_feature("byol", {"output": "vectors"}, stand_in)
