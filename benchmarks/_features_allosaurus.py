"""Allosaurus against the package (GPL-3), with a random network of the release's size: five layers of 2 x 320.

The floor is the matrix products of the recurrent layers alone, in fp32.
"""

import json
import tempfile
import time
import warnings
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import torch

from _common import best_by_turns, precisions, print_comparison, recurrent_products
from serflow.backbones import allosaurus as ours
from serflow.backbones._allosaurus_network import Allosaurus
from serflow.features import allosaurus as feature
from serflow.features.base import FloatArray

UNIT = "audio-s/s"
N_PHONES = 230
N_FEATURES, HIDDEN, N_LAYERS = 120, 320, 5


def write_model(folder: Path) -> None:
    """Write a model of the release's size with random weights."""
    ours.write_stand_in(folder, seed=0)
    config = json.loads((folder / "am_config.json").read_text()) | {"layer_size": N_LAYERS, "phone_size": N_PHONES}
    (folder / "am_config.json").write_text(json.dumps(config))
    torch.save(Allosaurus(N_FEATURES, HIDDEN, N_LAYERS, N_PHONES).state_dict(), folder / "model.pt")


def compare(audio: list[FloatArray]) -> None:
    """Print front end and whole feature, from 16 kHz (ours resamples with soxr, the package with resampy) and 8 kHz."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from allosaurus.am.factory import read_am
        from allosaurus.audio import Audio
        from allosaurus.pm.factory import read_pm
    with tempfile.TemporaryDirectory() as temporary:
        write_model(Path(temporary))
        backbones = {precision: ours.load(Path(temporary), "cpu", precision) for precision in precisions()}
        front, network = read_pm(Path(temporary), None), read_am(Path(temporary), Namespace(device_id=-1)).eval()

    def int16(waveform: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.round(waveform * 32768).astype(np.int16)

    at_16k = [(Audio(int16(waveform), 16_000), waveform) for waveform in audio]
    low = [int16(soxr.resample(waveform, 16_000, 8000)).astype(np.float32) / np.float32(32768) for waveform in audio]
    at_8k = [Audio(int16(waveform), 8000) for waveform in low]

    def package(audio_of_package: list[Audio]) -> None:
        for each in audio_of_package:
            frames = torch.from_numpy(front.compute(each))[None]
            with torch.inference_mode():
                network(frames, torch.tensor([frames.shape[1]]), return_lstm=True)

    exact = backbones["fp32"]
    difference = max(float(np.abs(exact.front(a) - front.compute(b)).max()) for a, b in zip(low, at_8k, strict=True))
    assert difference < 1e-3, f"the front ends differ by {difference}"
    n_frames = sum(len(exact.front(waveform)) for waveform in low)
    inputs = [N_FEATURES] * 2 + [2 * HIDDEN] * 2 * (N_LAYERS - 1)
    taken = best_by_turns(
        {
            "front 16k": lambda: [exact.front(soxr.resample(each, 16_000, 8000)) for each in audio],
            "peer's front 16k": lambda: [front.compute(each) for each, _ in at_16k],
            "front 8k": lambda: [exact.front(each) for each in low],
            "peer's front 8k": lambda: [front.compute(each) for each in at_8k],
            **{
                precision: partial(feature.Allosaurus(backbone, "blstm").batch, audio)
                for precision, backbone in backbones.items()
            },
            "peer": lambda: package([each for each, _ in at_16k]),
            "floor": recurrent_products(inputs, HIDDEN, n_frames),
        },
        repeats=2,
        clock=time.process_time,
    )
    speed = {key: sum(map(len, audio)) / 16_000 / seconds for key, seconds in taken.items()}
    print_comparison("allosaurus_frontend", speed["front 16k"], speed["peer's front 16k"], UNIT)
    print_comparison("allosaurus_frontend_8k", speed["front 8k"], speed["peer's front 8k"], UNIT)
    for precision in backbones:
        name = "allosaurus" if precision == "fp32" else f"allosaurus_{precision}"
        print_comparison(name, speed[precision], speed["peer"], UNIT)
    print_comparison("allosaurus_floor", speed["fp32"], speed["floor"], UNIT)
