import hashlib
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.audio.voice import cut_silences, find_speech, keep_windows, partial_starts, raise_level
from serflow.backbones import ge2e
from serflow.backbones._ge2e_network import GE2E, pool_partials
from serflow.backbones.base import load_backbone
from serflow.errors import AudioError, ConfigError, MissingDependencyError, WeightsError
from serflow.features.base import load_feature


@pytest.fixture(scope="module")
def stand_in_path(tmp_path_factory):
    return ge2e.write_stand_in(tmp_path_factory.mktemp("ge2e"), seed=0)


@pytest.fixture(scope="module")
def stand_in(stand_in_path):
    return load_backbone("ge2e", stand_in_path)


@pytest.fixture(scope="session")
def resemblyzer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports modules that SciPy and setuptools deprecate
        return pytest.importorskip("resemblyzer", reason="Resemblyzer, the peer with the weights, is not installed")


@pytest.fixture(scope="session")
def pretrained(resemblyzer) -> Path:
    return Path(resemblyzer.__file__).parent / "pretrained.pt"


@pytest.fixture(scope="module")
def utterances(real_data):
    paths = sorted((real_data / "emodb" / "wav").glob("*.flac"))[::45]
    return [soundfile.read(path, dtype="float32")[0] for path in paths]


def noise(n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def saved(folder, content):
    path = folder / "pretrained.pt"
    torch.save(content, path)
    return path


# ---- against Resemblyzer


@pytest.mark.filterwarnings("ignore")  # of librosa and torch, as Resemblyzer calls them
def test_embeddings_are_resemblyzers_on_real_speech(resemblyzer, pretrained, utterances):
    assert len(utterances) == 12
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    expected = np.stack([encoder.embed_utterance(resemblyzer.preprocess_wav(each)) for each in utterances])
    ours = load_backbone("ge2e", pretrained)
    together = np.concatenate(ours(utterances, "embedding"))
    alone = np.concatenate([ours([each], "embedding")[0] for each in utterances])
    for embeddings in (together, alone):
        cosines = (expected * embeddings).sum(axis=1)
        assert cosines.min() >= 0.9999
        np.testing.assert_allclose(embeddings, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # of librosa, as Resemblyzer calls it
def test_what_is_left_of_real_speech_is_what_resemblyzer_leaves(resemblyzer, utterances):
    quiet_and_pauses = [np.concatenate([0.02 * each, np.zeros(24_000, np.float32), each]) for each in utterances[:4]]
    cut = 0
    for waveform in [*utterances, *quiet_and_pauses]:
        expected = resemblyzer.preprocess_wav(waveform)
        ours = cut_silences(raise_level(waveform))
        cut += len(waveform) - len(ours)
        assert ours.dtype == np.float32
        assert len(ours) == len(expected)
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert cut > 16_000


def test_partials_start_where_resemblyzers_do(resemblyzer):
    for n_samples in [1, 159, 160, 161, *range(5_000, 120_000, 379)]:
        _, slices = resemblyzer.VoiceEncoder.compute_partial_slices(n_samples, rate=1.3, min_coverage=0.75)
        assert list(partial_starts(n_samples)) == [each.start for each in slices]


def test_the_release_is_the_file_in_the_package(pretrained):
    (release,) = ge2e.RELEASES
    assert release.package == ("resemblyzer", "pretrained.pt")
    assert release.digest == f"sha256:{hashlib.sha256(pretrained.read_bytes()).hexdigest()}"
    assert release.size == pretrained.stat().st_size


def test_the_sizes_of_the_release_are_read_from_its_tensors(pretrained):
    released = load_backbone("ge2e", pretrained)
    assert released.description == {
        "network": "GE2E",
        "n_mels": 40,
        "lstm_layers": 3,
        "lstm_units": 256,
        "dim": 256,
    }


# ---- preparation of the voice


@pytest.mark.parametrize("level", [1e-4, 0.01, 0.03])
def test_quiet_speech_is_raised_to_30_db_below_full_scale(level):
    raised = raise_level(np.float32(level / 0.1) * noise(16_000))
    assert 20 * np.log10(np.sqrt(np.mean(np.square(raised)))) == pytest.approx(-30, abs=0.01)


@pytest.mark.parametrize("waveform", [noise(16_000), np.ones(100, np.float32), np.zeros(100, np.float32)])
def test_loud_audio_and_silence_keep_their_level(waveform):
    np.testing.assert_array_equal(raise_level(waveform), waveform)


@given(st.lists(st.booleans(), max_size=60))
@settings(max_examples=200, deadline=None)
def test_windows_are_kept_as_defined(speech):
    n = len(speech)
    most = [sum(speech[max(0, i - 3) : i + 5]) > 4 for i in range(n)]
    expected = [any(most[max(0, i - 3) : i + 4]) for i in range(n)]
    assert keep_windows(np.array(speech, bool)).tolist() == expected


@pytest.mark.parametrize("n_samples", [1, 479, 480, 16_000])
def test_a_waveform_without_speech_is_taken_whole(n_samples):
    silence = np.zeros(n_samples, np.float32)
    assert not find_speech(silence).any()
    assert len(cut_silences(silence)) == n_samples


def test_peaks_beyond_full_scale_are_clipped():
    waveform = np.tile(np.float32([3, -3]), 480)
    np.testing.assert_array_equal(find_speech(waveform), find_speech(np.sign(waveform)))


def test_without_webrtcvad_the_package_to_install_is_named(monkeypatch, stand_in):
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(MissingDependencyError, match="pip install webrtcvad-wheels"):
        stand_in([noise(16_000)], "embedding")


# ---- the network


def test_the_embedding_is_the_pooled_one_of_the_partials(stand_in):
    waveform = noise(70_000)
    (partials,) = stand_in([waveform], "partials")
    assert partials.shape == (len(partial_starts(len(cut_silences(waveform)))), 6400)
    assert len(partials) > 2
    embeddings = stand_in.network(torch.from_numpy(partials).reshape(-1, 160, 40))
    pooled = pool_partials(embeddings, [len(partials)])
    np.testing.assert_allclose(stand_in([waveform], "embedding")[0], pooled, atol=1e-6)


def test_pooling_is_the_mean_of_each_utterance_at_length_1():
    torch.manual_seed(0)
    embeddings = torch.rand(5, 3)
    pooled = pool_partials(embeddings, [2, 3])
    for row, part in zip(pooled, (embeddings[:2], embeddings[2:]), strict=True):
        torch.testing.assert_close(row, part.mean(0) / part.mean(0).norm())


def test_the_batch_does_not_change_a_result(stand_in):
    waveforms = [noise(8_000 + 9_000 * index, seed=index) for index in range(24)]
    together = stand_in(waveforms, "embedding")
    assert sum(len(each) for each in stand_in(waveforms, "partials")) > 64
    for embedding, waveform in zip(together, waveforms, strict=True):
        assert embedding.shape == (1, 256)
        assert embedding.dtype == np.float32
        np.testing.assert_allclose(embedding, stand_in([waveform], "embedding")[0], atol=1e-6)
    assert stand_in([], "embedding") == []


@pytest.mark.parametrize("output", ["embedding", "partials"])
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
    assert len(result) >= 1
    assert np.isfinite(result).all()


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros(100), np.zeros((2, 100), np.float32)])
def test_what_is_not_one_channel_of_float32_is_refused(stand_in, waveform):
    with pytest.raises(AudioError, match="float32"):
        stand_in([waveform], "embedding")


def test_a_partial_that_activates_no_unit_has_the_embedding_0(stand_in_path, tmp_path):
    content = torch.load(stand_in_path, weights_only=True)
    content["model_state"]["linear.bias"] -= 100
    (embedding,) = load_backbone("ge2e", saved(tmp_path, content))([noise(16_000)], "embedding")
    np.testing.assert_array_equal(embedding, np.zeros((1, 256)))


def test_bfloat16_is_close_to_float32(stand_in_path, stand_in, bfloat16):
    waveforms = [noise(30_000), noise(60_000, seed=1)]
    rough = load_backbone("ge2e", stand_in_path, precision="bf16")(waveforms, "embedding")
    for embedding, exact in zip(rough, stand_in(waveforms, "embedding"), strict=True):
        assert embedding.dtype == np.float32
        assert float((embedding * exact).sum()) > 0.999


def test_the_network_is_frozen_and_another_can_be_trained(stand_in):
    assert not any(parameter.requires_grad for parameter in stand_in.network.parameters())
    assert not stand_in.network.training
    network = GE2E(hidden=8, dim=4)
    pool_partials(network(torch.rand(3, 160, 40)), [1, 2])[0, 0].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


# ---- files of weights


def test_the_stand_in_is_the_same_file_for_a_seed(tmp_path, stand_in_path):
    written = []
    for name, seed in [("a", 0), ("b", 1)]:
        (tmp_path / name).mkdir()
        written.append(ge2e.write_stand_in(tmp_path / name, seed).read_bytes())
    assert written[0] == stand_in_path.read_bytes()
    assert written[1] != written[0]
    assert len(written[0]) < 300_000


def test_the_stand_in_tells_utterances_apart(stand_in):
    waveforms = [noise(30_000), np.cumsum(noise(30_000), dtype=np.float32) / 10, np.zeros(30_000, np.float32)]
    hiss, rumble, silence = (each[0] for each in stand_in(waveforms, "embedding"))
    assert max(hiss @ rumble, rumble @ silence) < 0.99
    assert not np.allclose(hiss, silence)


def test_importing_the_module_imports_no_torch():
    code = "import sys, serflow.backbones.ge2e, serflow.backbones.byol; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda state: state.pop("linear.bias"), "linear.bias is absent"),
        (lambda state: state.pop("lstm.weight_hh_l0"), "lstm.weight_hh_l0 is absent"),
        (lambda state: state.update({"linear.bias": torch.zeros(3)}), r"linear.bias has the shape \(3,\)"),
        (lambda state: state.update({"linear.weight": torch.zeros(3)}), r"linear.weight is of shape \(3,\)"),
        (lambda state: state.update({"linear.bias": torch.full((256,), torch.nan)}), "not finite"),
        (lambda state: state.update({"lstm.weight_ih_l0": torch.zeros(128, 80)}), "takes 80 mel bands"),
        (lambda state: state.update({"linear.bias": "text"}), "linear.bias is of shape"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(stand_in_path, tmp_path, damage, told):
    content = torch.load(stand_in_path, weights_only=True)
    damage(content["model_state"])
    path = saved(tmp_path, content)
    with pytest.raises(WeightsError, match=told) as caught:
        load_backbone("ge2e", path)
    assert str(path) in str(caught.value)
    assert "backbones.ge2e.weights" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 but no archive"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "pretrained.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"pretrained\.pt: is no checkpoint.*backbones\.ge2e\.weights"):
        load_backbone("ge2e", path)


def test_half_a_file_one_with_code_and_none_at_all_are_refused(tmp_path, stand_in_path):
    half = tmp_path / "half.pt"
    half.write_bytes(stand_in_path.read_bytes()[:50_000])
    with pytest.raises(WeightsError, match="no checkpoint"):
        load_backbone("ge2e", half)
    with pytest.raises(WeightsError, match="of tensors alone"):
        load_backbone("ge2e", saved(tmp_path, {"model_state": {}, "code": subprocess.Popen}))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_backbone("ge2e", tmp_path / "absent.pt")
    with pytest.raises(WeightsError, match="has no entry model_state"):
        load_backbone("ge2e", saved(tmp_path, {"step": 1}))
    with pytest.raises(WeightsError, match="has no entry model_state"):
        load_backbone("ge2e", saved(tmp_path, [1, 2]))


# ---- the feature


def test_the_feature_gives_the_output_that_is_named(stand_in):
    waveform = noise(40_000)
    embedding = load_feature("ge2e", {}, stand_in)
    assert (embedding.info.kind, embedding.info.dim, embedding.info.hop_s) == ("vector", 256, None)
    np.testing.assert_array_equal(embedding(waveform), stand_in([waveform], "embedding")[0])
    partials = load_feature("ge2e", {"output": "partials"}, stand_in)
    assert (partials.info.kind, partials.info.dim, partials.info.hop_s) == ("frames", 6400, 0.77)
    np.testing.assert_array_equal(partials.batch([waveform])[0], stand_in([waveform], "partials")[0])


def test_an_unknown_output_is_refused_with_the_known_ones(stand_in):
    with pytest.raises(ConfigError, match="no output 'partial'; known: embedding, partials"):
        load_feature("ge2e", {"output": "partial"}, stand_in)
