"""Allosaurus against the package (GPL-3), with a random network of the release's size: five layers of 2 x 320."""

import json
import tempfile
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import soxr
import torch

from _common import best_by_turns, print_comparison
from serflow.backbones import allosaurus as ours
from serflow.backbones._allosaurus_network import Allosaurus
from serflow.features import allosaurus as feature
from serflow.features.base import FloatArray

UNIT = "audio-s/s"
N_PHONES = 230


def write_model(folder: Path) -> None:
    """Write a model of the release's size with random weights."""
    ours.write_stand_in(folder, seed=0)
    config = json.loads((folder / "am_config.json").read_text()) | {"layer_size": 5, "phone_size": N_PHONES}
    (folder / "am_config.json").write_text(json.dumps(config))
    torch.save(Allosaurus(120, 320, 5, N_PHONES).state_dict(), folder / "model.pt")


def compare(audio: list[FloatArray]) -> None:
    """Print front end and whole feature, from 16 kHz (ours resamples with soxr, the package with resampy) and 8 kHz."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from allosaurus.am.factory import read_am
        from allosaurus.audio import Audio
        from allosaurus.pm.factory import read_pm
    with tempfile.TemporaryDirectory() as temporary:
        write_model(Path(temporary))
        exact, rough = (ours.load(Path(temporary), "cpu", precision) for precision in ("fp32", "bf16"))
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

    difference = max(float(np.abs(exact.front(a) - front.compute(b)).max()) for a, b in zip(low, at_8k, strict=True))
    assert difference < 1e-3, f"the front ends differ by {difference}"
    whole, whole_rough = feature.Allosaurus(exact, "blstm"), feature.Allosaurus(rough, "blstm")
    taken = best_by_turns(
        {
            "front 16k": lambda: [exact.front(soxr.resample(each, 16_000, 8000)) for each in audio],
            "peer's front 16k": lambda: [front.compute(each) for each, _ in at_16k],
            "front 8k": lambda: [exact.front(each) for each in low],
            "peer's front 8k": lambda: [front.compute(each) for each in at_8k],
            "whole": lambda: whole.batch(audio),
            "whole bf16": lambda: whole_rough.batch(audio),
            "peer": lambda: package([each for each, _ in at_16k]),
        },
        repeats=2,
    )
    speed = {key: sum(map(len, audio)) / 16_000 / seconds for key, seconds in taken.items()}
    print_comparison("allosaurus_frontend", speed["front 16k"], speed["peer's front 16k"], UNIT)
    print_comparison("allosaurus_frontend_8k", speed["front 8k"], speed["peer's front 8k"], UNIT)
    print_comparison("allosaurus", speed["whole"], speed["peer"], UNIT)
    print_comparison("allosaurus_bf16", speed["whole bf16"], speed["peer"], UNIT)
