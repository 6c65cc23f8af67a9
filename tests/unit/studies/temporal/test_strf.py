"""Gabor receptive fields: formulas, support, gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from serflow.studies.temporal.options import StrfNetOptions
from serflow.studies.temporal.strf import GaborStrf, hann, odd_taps

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def layer_of(rates, scales, taps=5, bands=3):
    layer = GaborStrf(len(rates), taps, bands)
    layer.load_state_dict({"rates": torch.tensor(rates), "scales": torch.tensor(scales)})
    return layer


def formula(rate, scale, taps, bands, wave):
    """A field written out, value by value."""

    def window(place, size):
        return 0.5 + 0.5 * math.cos(2 * math.pi * place / (size + 1))

    return torch.tensor(
        [
            [
                wave(rate * n) * window(n, taps) * wave(scale * k) * window(k, bands)
                for k in range(-(bands // 2), bands // 2 + 1)
            ]
            for n in range(-(taps // 2), taps // 2 + 1)
        ]
    )


def test_fields_are_those_of_the_formulas():
    rates, scales = [0.3, 2.0], [1.1, 0.4]
    found = layer_of(rates, scales, taps=7, bands=5).kernels()
    assert found.shape == (4, 7, 5)
    for pair, (rate, scale) in enumerate(zip(rates, scales, strict=True)):
        torch.testing.assert_close(found[pair], formula(rate, scale, 7, 5, math.cos))
        torch.testing.assert_close(found[2 + pair], formula(rate, scale, 7, 5, math.sin))


def test_a_rate_and_a_scale_of_zero_leave_the_windows():
    cosine, sine = layer_of([0.0], [0.0]).kernels()
    torch.testing.assert_close(cosine, torch.outer(hann(5), hann(3)))
    assert not sine.any()


def test_sum_and_difference_are_ripples_that_move_down_and_up():
    """cos a cos b + sin a sin b = cos(a - b), and less it is cos(a + b)."""
    rate, scale = 0.7, 0.9
    cosine, sine = layer_of([rate], [scale], taps=9, bands=7).kernels()
    windows = torch.outer(hann(9), hann(7))
    n, k = torch.arange(-4.0, 5)[:, None], torch.arange(-3.0, 4)
    torch.testing.assert_close(cosine + sine, windows * torch.cos(rate * n - scale * k))
    torch.testing.assert_close(cosine - sine, windows * torch.cos(rate * n + scale * k))


def test_the_window_is_even_and_1_in_the_middle():
    window = hann(17)
    torch.testing.assert_close(window, window.flip(0))
    assert window[8] == 1
    assert 0 < window[0] < 0.04


@pytest.mark.parametrize(("support_ms", "hop_ms", "taps"), [(200, 12.5, 17), (200, 10, 21), (150, 10, 15), (1, 10, 1)])
def test_taps_are_odd(support_ms, hop_ms, taps):
    assert odd_taps(support_ms / hop_ms) == taps


def test_the_papers_fields_span_200_ms():
    options = StrfNetOptions()
    taps = odd_taps(options.support_ms / 12.5)
    assert (taps - 1) * 12.5 == 200
    assert GaborStrf(options.kernels, taps, options.support_bands).kernels().shape == (64, 17, 9)


def test_an_even_field_is_refused():
    with pytest.raises(ValueError, match="16 frames by 9 bands has no middle"):
        GaborStrf(2, 16, 9)


def test_rates_and_scales_start_from_0_to_pi():
    torch.manual_seed(0)
    layer = GaborStrf(4000, 3, 3)
    for values in (layer.rates, layer.scales):
        assert 0 <= values.min() < 0.01
        assert math.pi - 0.01 < values.max() <= math.pi
        # mean and deviation of a uniform distribution
        assert abs(values.mean() - math.pi / 2) < 0.06
        assert abs(values.std() - math.pi / 12**0.5) < 0.03


def test_the_layer_correlates_with_its_fields():
    layer = layer_of([0.3, 2.0], [1.1, 0.4], taps=5, bands=3)
    maps = torch.randn(2, 1, 11, 6, generator=torch.Generator().manual_seed(0))
    found = layer(maps)
    assert found.shape == (2, 4, 11, 6)
    torch.testing.assert_close(found, F.conv2d(maps, layer.kernels()[:, None], padding=(2, 1)))
    kernels = layer.kernels()
    # one value by hand: frame 4, band 2, sine field of the second pair
    expected = sum(kernels[3, n + 2, k + 1] * maps[1, 0, 4 + n, 2 + k] for n in range(-2, 3) for k in range(-1, 2))
    torch.testing.assert_close(found[1, 3, 4, 2], expected)


def test_gradients_are_those_of_finite_differences():
    maps = torch.randn(1, 1, 8, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    layer = GaborStrf(2, 5, 3)

    def run(rates, scales, maps):
        return torch.func.functional_call(layer, {"rates": rates, "scales": scales}, (maps,))

    rates, scales = torch.tensor([0.3, 2.0], requires_grad=True), torch.tensor([1.1, 0.4], requires_grad=True)
    assert torch.autograd.gradcheck(run, (rates, scales, maps))


def test_a_rate_learns_the_modulation_that_it_is_shown():
    """From 0.5 rad a frame to the 0.9 of a ripple, by the field's energy alone."""
    layer = layer_of([0.5], [0.0], taps=17, bands=1)
    ripple = torch.cos(0.9 * torch.arange(120.0))[None, None, :, None]
    optimizer = torch.optim.Adam(layer.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        kernel = layer.kernels()[0]
        energy = layer(ripple)[:, 0, 20:100].square().mean() / kernel.square().sum()
        (-energy).backward()
        optimizer.step()
    assert abs(layer.rates.item() - 0.9) < 0.05
