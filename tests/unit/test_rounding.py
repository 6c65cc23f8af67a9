"""Whatever is normalised by a deviation or a norm: what is constant but for rounding is 0, on every CPU and BLAS.

Other machines' rounding is played by noise of the size of eps, so that none of this hangs on the machine at hand.
"""

import json

import numpy as np
import pytest
import torch

from serflow.audio.mel import MelSpectrogram
from serflow.audio.voice import raise_level
from serflow.audio.waveform import is_constant
from serflow.backbones._allosaurus_frontend import FrontEnd, FrontEndOptions, normalise
from serflow.backbones._byol_network import LogMelPicture, standardise
from serflow.backbones._ge2e_network import GE2E
from serflow.backbones.allosaurus import write_stand_in as write_allosaurus
from serflow.backbones.base import load_network
from serflow.backbones.wav2vec2 import load as load_wav2vec2
from serflow.backbones.wav2vec2 import write_stand_in as write_wav2vec2
from serflow.errors import TrainingError
from serflow.features._kaldi import add_deltas
from serflow.features.mfcc import build as build_mfcc
from serflow.features.mfcc_kaldi import build as build_mfcc_kaldi
from serflow.nn.convolution import MaskedInstanceNorm
from serflow.nn.normalisation import MaskedBatchNorm, unit_rows
from serflow.report.scatter import project
from serflow.rounding import EPS, rounding
from serflow.runs.probes import linear_probe
from serflow.studies.dlc.losses import difference

N_SAMPLES = 4000


def rounded(values, seed=0):
    """Return values as another machine might have rounded them."""
    noise = np.random.default_rng(seed).uniform(-1, 1, np.shape(values))
    return (values * (1 + EPS * noise)).astype(np.float32)


def silence(n_samples=N_SAMPLES):
    return np.zeros(n_samples, np.float32)


WAVEFORMS = {
    "silence": silence(),
    "last bit of 24": (EPS * np.random.default_rng(1).integers(-1, 2, N_SAMPLES)).astype(np.float32),
    "one sample": np.float32([0.5]),
    "constant": np.full(N_SAMPLES, 0.3, np.float32),
    "constant but for rounding": rounded(np.full(N_SAMPLES, 0.3)),
}


@pytest.fixture(scope="module")
def front_end(tmp_path_factory):
    folder = write_allosaurus(tmp_path_factory.mktemp("allosaurus"), seed=0)

    def make(**changed):
        options = json.loads((folder / "pm_config.json").read_text()) | changed
        return FrontEnd(FrontEndOptions.read(folder, options))

    return make


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    return load_wav2vec2(write_wav2vec2(tmp_path_factory.mktemp("wav2vec2"), seed=0), "cpu", "fp32")


# ---- the rule


@pytest.mark.parametrize("seed", range(5))
def test_sums_of_the_same_terms_in_any_order_differ_by_no_more_than_rounding(seed):
    generator = np.random.default_rng(seed)
    terms = (generator.standard_normal(100) * 10 ** generator.uniform(-3, 3, 100)).astype(np.float32)
    orders = [generator.permutation(terms) for _ in range(200)]
    sums = [float(np.add.accumulate(order)[-1]) for order in orders] + [float(order.sum()) for order in orders]
    assert 0 < np.ptp(sums) <= rounding(np.abs(terms).sum(), 100)


def test_rounding_grows_with_scale_terms_and_eps():
    assert rounding(2.0, 3, 0.5) == 3.0
    np.testing.assert_array_equal(rounding(np.array([0.0, 1.0]), 1), [0, EPS])


@pytest.mark.parametrize("waveform", WAVEFORMS.values(), ids=WAVEFORMS)
def test_these_waveforms_are_constant(waveform):
    assert is_constant(waveform)


def test_the_last_bit_of_16_is_no_rounding():
    waveform = silence()
    waveform[7] = 2**-15
    assert not is_constant(waveform)
    assert not is_constant(waveform + np.float32(0.3))


# ---- what becomes 0


@pytest.mark.parametrize("waveform", WAVEFORMS.values(), ids=WAVEFORMS)
@pytest.mark.parametrize("use_energy", [False, True])
def test_allosauruss_frames_of_a_constant_are_0(front_end, waveform, use_energy, monkeypatch):
    front = front_end(use_energy=use_energy)
    assert not front(waveform).any()
    powers = front._log_powers

    def on_another_machine(samples):
        log_mel, log_energies = powers(samples)
        return rounded(log_mel), None if log_energies is None else rounded(log_energies)

    monkeypatch.setattr(front, "_log_powers", on_another_machine)
    frames = front(waveform)
    assert frames.shape == (front(silence(len(waveform)))).shape
    assert not frames.any()


def test_allosauruss_coefficients_that_hardly_vary_have_deviation_1_all_the_same():
    """The package's variance is a difference of squares, of which nothing but rounding is left here."""
    cepstra = np.full((1000, 2), -200, np.float32)
    cepstra[::2] += np.float32(0.01)
    np.testing.assert_allclose(np.abs(normalise(cepstra, np.float32([1e-3, 1e-3]))), 1, rtol=1e-6)
    assert not normalise(cepstra, np.float32([0.02, 0.02])).any()


@pytest.mark.parametrize("waveform", WAVEFORMS.values(), ids=WAVEFORMS)
def test_wav2vec2_takes_a_constant_for_silence(wav2vec2, waveform):
    prepared = wav2vec2._prepare(waveform)
    assert len(prepared) >= len(waveform)
    assert not prepared.any()


@pytest.mark.parametrize("waveform", WAVEFORMS.values(), ids=WAVEFORMS)
def test_wav2vec2_in_training_takes_a_constant_for_silence(tmp_path_factory, waveform):
    path = write_wav2vec2(tmp_path_factory.mktemp("trained"), seed=0)
    network = load_network("wav2vec2", path).eval()
    speech = np.random.default_rng(0).standard_normal(N_SAMPLES).astype(np.float32)
    lengths = torch.tensor([N_SAMPLES, len(waveform)])
    beside_speech, beside_silence = (
        torch.from_numpy(np.stack([speech, np.pad(row, (0, N_SAMPLES - len(row)))]))
        for row in (waveform, silence(len(waveform)))
    )
    assert torch.equal(network(beside_speech, lengths), network(beside_silence, lengths))


@pytest.mark.parametrize("name", ["silence", "last bit of 24"])
def test_byols_picture_of_silence_is_0(name):
    picture = LogMelPicture(400)(WAVEFORMS[name])
    for each in (picture, rounded(picture), picture[:, :1]):
        assert not standardise(each).any()


@pytest.mark.parametrize("name", ["silence", "last bit of 24", "one sample"])
def test_mfccs_of_silence_are_0(name, monkeypatch):
    mfcc = build_mfcc({})
    assert not mfcc(WAVEFORMS[name]).any()
    power = MelSpectrogram.__call__
    monkeypatch.setattr(MelSpectrogram, "__call__", lambda *given: rounded(power(*given) + np.float32(1e-10)))
    assert not mfcc(WAVEFORMS[name]).any()


def test_kaldis_cepstra_of_silence_are_0_and_deltas_of_a_constant_too():
    frames = build_mfcc_kaldi({})(silence())
    assert (frames[:, 0] == frames[0, 0]).all()
    assert not frames[:, 1:].any()
    for n_frames in (1, 9):
        constant = np.tile(np.float32([-15.9, 3.3, 1e-7]), (n_frames, 1))
        for each in (constant, rounded(constant)):
            assert not add_deltas(each, 2, 2)[:, 3:].any()


@pytest.mark.parametrize("name", ["silence", "last bit of 24"])
def test_silence_is_not_raised_to_the_level_of_speech(name):
    np.testing.assert_array_equal(raise_level(WAVEFORMS[name]), WAVEFORMS[name])


def test_a_speaker_embedding_that_is_rounding_is_0():
    torch.manual_seed(0)
    network = GE2E(hidden=64, dim=16)
    partials = torch.rand(3, 160, 40)
    with torch.no_grad():
        _, (states, _) = network.lstm(partials[:1])
        exact = network.linear.weight.double() @ states[-1, 0].double()
        # what is left of the sums is what their order left of them
        network.linear.bias.copy_(-exact + 1e-7)
    embeddings = network(partials)
    assert not embeddings[0].any()
    torch.testing.assert_close(embeddings[1:].norm(dim=1), torch.ones(2))
    embeddings.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize("n_rows", [1, 3, 7, 32])
def test_codes_that_are_the_same_for_all_have_nothing_in_common(n_rows):
    generator = torch.Generator().manual_seed(0)
    private, shared = (torch.rand(1, 5, generator=generator).repeat(n_rows, 1) for _ in range(2))
    for seed in range(3):
        codes = [torch.from_numpy(rounded(code.numpy(), seed)).requires_grad_() for code in (private, shared)]
        loss = difference(*codes, torch.zeros(n_rows, dtype=torch.long), 2)
        loss.backward()
        assert loss.item() == 0.0
        assert not any(code.grad.any() for code in codes)


def test_rows_are_scaled_to_norm_1_and_get_their_gradient_where_they_are_no_rounding():
    rows = torch.tensor([[3.0, 4.0], [1e-6, 0.0]], requires_grad=True)
    found = unit_rows(rows, torch.tensor([1e-5, 1e-5]))
    np.testing.assert_array_equal(found.detach(), np.float32([[0.6, 0.8], [0, 0]]))
    found[:, 0].sum().backward()
    assert rows.grad[0].abs().min() > 0
    assert not rows.grad[1].any()


@pytest.mark.parametrize("layer", [MaskedBatchNorm(1), MaskedInstanceNorm(1)], ids=["batch", "instance"])
def test_layers_with_an_epsilon_of_their_own_leave_rounding_small(layer):
    frames = torch.from_numpy(rounded(np.full((2, 50, 1), 100.0)))
    assert layer(frames, torch.ones(2, 50, 1)).abs().max() < 0.01


def test_a_probe_and_a_plot_see_no_vectors_that_differ_in_what_is_rounding():
    vectors = rounded(np.full((20, 3), 0.1))
    with pytest.raises(TrainingError, match="are the same, so nothing can be read off them"):
        linear_probe(vectors, ["a", "b"] * 10, np.arange(10), np.arange(10, 20))
    assert project(vectors, "tsne").fault == "t-SNE needs vectors that differ, all 20 are alike"


def test_a_dimension_that_is_rounding_does_not_change_a_probe():
    generator = np.random.default_rng(0)
    labels = generator.choice(["a", "b"], 60)
    vectors = generator.standard_normal((60, 2)).astype(np.float32) + (labels == "a")[:, np.newaxis]
    # the label can be read off the last bit
    constant = np.where(labels == "a", np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1)))
    rows = np.arange(30), np.arange(30, 60)
    alone = linear_probe(vectors.astype(np.float32), labels, *rows)
    assert linear_probe(np.column_stack([vectors, constant]).astype(np.float32), labels, *rows) == alone
    assert alone.accuracy < 1
