"""Receptive fields are shown as they were learnt."""

import argparse
import math

import numpy as np
import pandas as pd
import pytest
import torch

from made_up_runs import SYNTHETIC, predicted, write_cell
from serflow.errors import StoreError
from serflow.report.style import figure_style
from serflow.stages import plot_figure
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.receptive_fields import Files, cycles, make_figure, read_fields

TURN = 2 * math.pi
OPTIONS = {"framing": {"hop_ms": 12.5}, "strfnet": {"kernels": 3, "support_ms": 200.0, "support_bands": 9}}
"""At 80 frames a second half a turn a frame is 40 Hz."""
RATES = torch.tensor([0.5, 0.05, 0.25]) * TURN
SCALES = torch.tensor([0.125, 0.4, 0.25]) * TURN


def write(folder, fits, system="spectrogram_modulation"):
    """Write a cell with the rates and scales (radians) of some fits by run and fold."""
    results = [
        predicted([("a", (1, 0), 0)], run, fold, n_classes=2, classes="xy")._replace(
            weights={"classifier.streams.1.rates": rates, "classifier.streams.1.scales": scales}
        )
        for (run, fold), (rates, scales) in fits.items()
    ]
    cell = {"system": system, "corpus": "toy", "variant": "warp"}
    files = write_cell(
        folder, cell, results, study="temporal", classes="xy", provenance=SYNTHETIC, options=OPTIONS
    )  # fmt: skip
    return Files(files.predictions, files.model)


def read(files, system="spectrogram_modulation"):
    return read_fields(files.model, system, Options.model_validate(OPTIONS))


def test_rates_are_in_hz_and_scales_in_cycles_a_band_and_stay_together(tmp_path):
    (fields,) = read(write(tmp_path, {(0, "1F"): (RATES, SCALES)}))
    np.testing.assert_allclose(fields.rates, [4, 20, 40], rtol=1e-6)
    np.testing.assert_allclose(fields.scales, [0.4, 0.25, 0.125], rtol=1e-6)
    assert (fields.run, fields.fold, fields.reads) == (0, "1F", "spectrogram")


def test_a_picture_has_the_rate_and_scale_that_stand_above_it(tmp_path):
    (fields,) = read(write(tmp_path, {(0, "1F"): (RATES, SCALES)}))
    n, k = np.arange(-8, 9)[:, None], np.arange(-4, 5)
    window = np.cos(math.pi * n / 18) ** 2 * np.cos(math.pi * k / 10) ** 2
    for rate, scale, (cosine, sine) in zip(fields.rates, fields.scales, fields.kernels, strict=True):
        in_time, in_frequency = TURN * rate * n / 80, TURN * scale * k
        np.testing.assert_allclose(cosine, np.cos(in_time) * np.cos(in_frequency) * window, atol=1e-5)
        np.testing.assert_allclose(sine, np.sin(in_time) * np.sin(in_frequency) * window, atol=1e-5)


def test_an_angle_beyond_half_a_turn_is_its_alias():
    angles = np.array([0.0, 0.3, 0.7, -0.3, 1.3, -1.7, 0.5]) * TURN
    np.testing.assert_allclose(cycles(angles), [0, 0.3, 0.3, 0.3, 0.3, 0.3, 0.5], atol=1e-12)
    steps = np.arange(-8, 9)
    np.testing.assert_allclose(
        np.cos(np.outer(angles, steps)), np.cos(np.outer(TURN * cycles(angles), steps)), atol=1e-12
    )


def test_the_figure_is_of_the_first_fit_and_its_points_of_all(tmp_path):
    fits = {(10, "1F"): (RATES, SCALES), (2, "1M"): (RATES / 2, SCALES / 2), (2, "1F"): (RATES / 4, SCALES * 0.8)}
    files = write(tmp_path, fits)
    with figure_style():
        figure, points = make_figure(files, {"titles": {"toy": "Toy"}})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == [
        "1.0 Hz, 0.320 cycles/band", "5.0 Hz, 0.200 cycles/band", "10.0 Hz, 0.100 cycles/band",
    ]  # fmt: skip
    assert sum(len(axes.images) for axes in figure.axes) == 6
    plane = figure.axes[0]
    assert sum(len(drawn.get_offsets()) for drawn in plane.collections) == len(points) == 9
    assert list(dict.fromkeys(zip(points["run"], points["fold"], strict=True))) == [(2, "1F"), (2, "1M"), (10, "1F")]
    said = " ".join(text.get_text() for text in figure.texts)
    assert "Run 2, fold 1F" in said
    assert "synthetic" in said


def test_the_stage_writes_rates_and_scales(tmp_path):
    files = write(tmp_path, {(0, "1F"): (RATES, SCALES)})
    out = {name: tmp_path / f"fields.{name}" for name in ("svg", "csv")}
    plot_figure.main(
        argparse.Namespace(
            study="temporal", figure="receptive_fields", inputs=list(files._asdict().items()),
            facts={"titles": {"toy": "Toy"}}, **out,
        )
    )  # fmt: skip
    table = pd.read_csv(out["csv"])
    assert list(table.columns) == ["run", "fold", "reads", "rate_hz", "scale"]
    assert table["rate_hz"].tolist() == [4.0, 20.0, 40.0]
    assert table["scale"].tolist() == [0.4, 0.25, 0.125]
    assert out["svg"].read_text().count("<image ") == 6


def test_what_has_no_receptive_fields_is_refused(tmp_path):
    files = write(tmp_path, {(0, "1F"): (RATES, SCALES)}, system="spectrogram")
    with pytest.raises(StoreError, match="a network of spectrogram has no receptive fields; give a cell of modulation"):
        make_figure(files, {"titles": {"toy": "Toy"}})
    with pytest.raises(StoreError, match=r"lacks 0/1F/classifier\.streams\.2\.rates; delete it"):
        read(files, "all_three")
    files.model.write_bytes(files.model.read_bytes()[:-1] + b"\1")
    with pytest.raises(StoreError, match=str(files.model)):
        read(files)
