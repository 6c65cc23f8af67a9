"""The log-mel front end on a batch is serflow's own spectrogram of each utterance, whatever it is padded with."""

import copy

import numpy as np
import pytest
import torch

from serflow.audio.mel import mel_edges, mel_filters, warped_edges
from serflow.errors import ConfigError
from serflow.features import spectrogram
from serflow.studies.temporal.front_end import N_FFT, LogMelFrontEnd, check_bands
from serflow.studies.temporal.options import FramingOptions

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

LENGTHS = (9_000, 5_001, 8_999, 100)
WARPS = (0.0, 0.15, -0.11, 0.6)


def waveforms(padded=None, gain=1.0):
    """Noise with a tone, of several lengths, zero beyond their ends."""
    generator = np.random.default_rng(0)
    batch = np.zeros((len(LENGTHS), padded or max(LENGTHS)), np.float32)
    for row, length in enumerate(LENGTHS):
        tone = np.sin(2 * np.pi * (200 + 900 * row) / 16_000 * np.arange(length))
        batch[row, :length] = gain * (0.3 * tone + 0.05 * generator.standard_normal(length))
    return batch


def frames(front_end, batch, warps=WARPS):
    n_samples = torch.tensor(LENGTHS)
    return front_end(torch.from_numpy(batch).double(), n_samples, torch.tensor(warps)).numpy()


def by_the_book(waveform, n_mels=30, window=800, hop=200, warp=0.0, floor=1e-6):
    """Log-mel frames written out: every frame by itself, in double precision."""
    padded = np.concatenate([np.zeros(512), waveform.astype(np.float64), np.zeros(1024)])
    weights = np.zeros(1024)
    weights[(1024 - window) // 2 :][:window] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = np.arange(1 + len(waveform) // hop) * hop
    power = np.abs(np.fft.rfft(np.stack([padded[start : start + 1024] * weights for start in starts]))) ** 2
    bank = mel_filters(warped_edges(mel_edges(n_mels, 0, 8000), warp), 1024).astype(np.float64)
    return np.log(power @ bank.T + floor)


def test_frames_are_those_of_the_spectrogram_of_each_utterance_alone():
    batch = waveforms()
    found = frames(LogMelFrontEnd(FramingOptions()), batch)
    for row, (length, warp) in enumerate(zip(LENGTHS, WARPS, strict=True)):
        expected = spectrogram.build({"warp": warp})(batch[row, :length])
        assert len(expected) == 1 + length // 200
        # the feature is computed in single precision, of which a band may keep little where others are loud
        np.testing.assert_allclose(np.exp(found[row, : len(expected)]), np.exp(expected), rtol=3e-4)
        np.testing.assert_allclose(found[row, : len(expected)], by_the_book(batch[row, :length], warp=warp), rtol=1e-6)
        assert (found[row, len(expected) :] == 0).all()


@pytest.mark.parametrize(
    "framing", [{"window_ms": 25.0}, {"hop_ms": 10.0, "n_mels": 40}, {"window_ms": 64.0}, {"floor": 1e-3}]
)
def test_framing_is_that_which_is_asked_for(framing):
    options = FramingOptions(**framing)
    batch = waveforms()
    found = frames(LogMelFrontEnd(options), batch)
    for row, (length, warp) in enumerate(zip(LENGTHS, WARPS, strict=True)):
        expected = by_the_book(batch[row, :length], options.n_mels, options.window, options.hop, warp, options.floor)
        np.testing.assert_allclose(found[row, : len(expected)], expected, rtol=1e-6)


@pytest.mark.parametrize("padded", [9_001, 12_345])
def test_padding_of_the_batch_changes_no_frame(padded):
    front_end = LogMelFrontEnd(FramingOptions())
    found, expected = (frames(front_end, waveforms(length)) for length in (padded, None))
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=1e-12)
    assert (found[:, expected.shape[1] :] == 0).all()


def test_a_large_batch_is_as_many_small_ones():
    """Utterances are transformed a few at once."""
    batch = torch.from_numpy(np.random.default_rng(2).standard_normal((19, 3_000)))
    n_samples, warps = torch.arange(2_100, 2_100 + 19 * 40, 40), torch.linspace(-0.15, 0.15, 19)
    batch[torch.arange(3_000) >= n_samples[:, None]] = 0
    front_end = LogMelFrontEnd(FramingOptions())
    found = front_end(batch, n_samples, warps)
    alone = [front_end(batch[row][None], n_samples[row][None], warps[row][None])[0] for row in range(19)]
    torch.testing.assert_close(found, torch.stack(alone))


def test_the_bank_of_alpha_0_is_the_standard_one_and_others_have_their_edges_moved():
    bank = LogMelFrontEnd(FramingOptions()).filters(torch.tensor(WARPS))
    edges = mel_edges(30, 0, 8000)
    np.testing.assert_array_equal(bank[0].float().numpy(), mel_filters(edges, N_FFT))
    for found, warp in zip(bank, WARPS, strict=True):
        expected = mel_filters(warped_edges(edges, warp), N_FFT)
        np.testing.assert_allclose(found.float().numpy(), expected, rtol=1e-5, atol=1e-9)
    centres = bank.argmax(2)
    assert (centres[1] >= centres[0]).all()
    assert (centres[1] > centres[0]).sum() > 25
    assert (centres[2] <= centres[0]).all()


def test_a_gain_in_db_moves_what_is_well_above_the_floor_by_as_much():
    front_end = LogMelFrontEnd(FramingOptions())
    loud, quiet = (frames(front_end, waveforms(gain=gain)) for gain in (1.0, 10 ** (-6 / 20)))
    power, lower = (np.exp(values[:3, :26]) - 1e-6 for values in (loud, quiet))
    np.testing.assert_allclose(10 * np.log10(power / lower), 6, atol=1e-4)


def test_nothing_is_learnt_and_nothing_is_kept_in_the_weights():
    front_end = LogMelFrontEnd(FramingOptions())
    assert list(front_end.parameters()) == []
    assert front_end.state_dict() == {}


def test_single_precision_is_that_of_the_waveforms_and_autocast_lowers_none():
    front_end = LogMelFrontEnd(FramingOptions())
    batch, n_samples, warps = torch.from_numpy(waveforms()), torch.tensor(LENGTHS), torch.tensor(WARPS).float()
    plain = front_end(batch, n_samples, warps)
    assert plain.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(front_end(batch, n_samples, warps), plain, rtol=0, atol=0)
    double = copy.deepcopy(front_end).double()(batch.double(), n_samples, warps.double())
    torch.testing.assert_close(plain.double().exp(), double.exp(), rtol=3e-4, atol=0)


def test_bands_too_narrow_for_the_transform_are_refused():
    check_bands(FramingOptions(), 0.15)
    check_bands(FramingOptions(n_mels=300), 0.0)
    with pytest.raises(
        ConfigError, match=r"temporal\.framing\.n_mels: of 300 bands one is 14\.\d Hz wide at a warping"
    ):
        check_bands(FramingOptions(n_mels=300), 0.15)
    with pytest.raises(ConfigError, match=r"n_mels: of 500 bands one is 12\.\d Hz wide, less than a bin of 15\.625 Hz"):
        check_bands(FramingOptions(n_mels=500), 0.0)


@pytest.mark.parametrize("warp", np.linspace(-0.4, 0.4, 33))
def test_bands_that_pass_hold_a_bin_at_every_alpha_in_between(warp):
    framing = FramingOptions(n_mels=150)
    check_bands(framing, 0.4)
    assert (LogMelFrontEnd(framing).filters(torch.tensor([warp])).amax(2) > 0).all()


@pytest.mark.parametrize(
    ("framing", "said"),
    [
        ({"window_ms": 50.01}, "window_ms is 50.01, which is no whole number of samples at 16 kHz"),
        ({"hop_ms": 12.51}, "hop_ms is 12.51, which is no whole number"),
        ({"window_ms": 10.0}, "hop_ms is 12.5, above window_ms"),
        ({"kernel": 4}, "kernel is 4; an odd number"),
    ],
)
def test_framing_that_cannot_be_is_refused(framing, said):
    with pytest.raises(ValueError, match=said):
        FramingOptions(**framing)
