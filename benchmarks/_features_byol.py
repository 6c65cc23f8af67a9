"""BYOL-S against its layers one by one after librosa's mel: waveforms to vectors, one thread each, random weights."""

import librosa
import numpy as np
import torch

from _common import best_by_turns, print_comparison
from serflow.backbones._byol_network import ByolBackbone, Encoder, pool_frames
from serflow.features.base import FloatArray

UNIT = "audio-s/s"


@torch.inference_mode()
def plain_vector(encoder: Encoder, waveform: FloatArray) -> FloatArray:
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=16_000,
        n_fft=1024,
        win_length=400,
        hop_length=160,
        n_mels=64,
        fmin=60,
        fmax=7800,
        htk=True,
        norm=None,
        pad_mode="reflect",
    )
    picture = np.log(mel + np.finfo(np.float32).eps)
    picture = (picture - picture.mean()) / picture.std(ddof=1)
    vector: FloatArray = pool_frames(encoder(torch.from_numpy(picture)[None, None])).numpy()
    return vector


def compare(audio: list[FloatArray]) -> None:
    """Print ours over the peer's, in fp32 and bf16."""
    torch.manual_seed(0)
    encoder = Encoder().eval()
    exact, rough = (ByolBackbone(encoder, 400, torch.device("cpu"), precision) for precision in ("fp32", "bf16"))
    difference = max(
        float(np.abs(vector - plain_vector(encoder, waveform)).max())
        for vector, waveform in zip(exact(audio[:10], "vector"), audio, strict=False)
    )
    assert difference < 1e-3, f"ours and the layers one by one differ by {difference}"
    taken = best_by_turns(
        {
            "fp32": lambda: exact(audio, "vector"),
            "bf16": lambda: rough(audio, "vector"),
            "peer": lambda: [plain_vector(encoder, waveform) for waveform in audio],
        }
    )
    speed = {key: sum(map(len, audio)) / 16_000 / seconds for key, seconds in taken.items()}
    for precision in ("fp32", "bf16"):
        print_comparison(f"BYOL-S {precision}, peer layers after librosa's mel", speed[precision], speed["peer"], UNIT)
