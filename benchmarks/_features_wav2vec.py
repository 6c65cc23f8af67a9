"""wav2vec 1.0 at the size of wav2vec_large with random weights: bf16 against fp32."""

import numpy as np
import torch

from _common import best_by_turns, print_comparison
from serflow.backbones._wav2vec_network import Geometry, Wav2Vec, Wav2VecBackbone
from serflow.features.base import FloatArray

UNIT = "audio-s/s"
N_UTTERANCES = 3
LARGE = Geometry(
    [(512, 10, 5), (512, 8, 4), (512, 4, 2), (512, 4, 2), (512, 4, 2), (512, 1, 1), (512, 1, 1)],
    [(512, kernel, 1) for kernel in range(2, 14)],
    log_compression=True,
    skip_connections_agg=True,
)


def compare(audio: list[FloatArray]) -> None:
    """Print bf16 over fp32, and their cosine."""
    torch.manual_seed(0)
    network = Wav2Vec(LARGE).eval().requires_grad_(False)
    exact, rough = (Wav2VecBackbone(network, torch.device("cpu"), precision) for precision in ("fp32", "bf16"))
    few = audio[:N_UTTERANCES]
    cosine = 1.0
    for a, b in zip(exact(few, "context"), rough(few, "context"), strict=True):
        cosine = min(cosine, float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)))
    taken = best_by_turns({"bf16": lambda: rough(few, "context"), "fp32": lambda: exact(few, "context")}, repeats=2)
    seconds = sum(map(len, few)) / 16_000
    print_comparison("wav2vec_bf16", seconds / taken["bf16"], seconds / taken["fp32"], UNIT)
    print_comparison("wav2vec_bf16_cosine", 1000 * cosine, 1000, "cosine x 1000")
