"""GE2E against Resemblyzer: waveforms to embeddings, one thread each, the same weights.

The floor is the matrix products of the recurrent layers alone, in fp32.
"""

import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from _common import best_by_turns, precisions, print_comparison, recurrent_products
from serflow.audio.voice import PARTIAL_FRAMES
from serflow.backbones import ge2e
from serflow.features.base import FloatArray

UNIT = "audio-s/s"


def compare(audio: list[FloatArray]) -> None:
    """Print ours over Resemblyzer's, from prepared speech (`embed_utterance`) and from the waveform, and the floor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Resemblyzer imports and calls what SciPy and librosa deprecate
        _compare(audio)


def _compare(audio: list[FloatArray]) -> None:
    import resemblyzer

    weights = Path(resemblyzer.__file__).parent / "pretrained.pt"
    backbones = {precision: ge2e.load(weights, "cpu", precision) for precision in precisions()}
    exact = backbones["fp32"]
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    prepared = [resemblyzer.preprocess_wav(waveform) for waveform in audio]
    expected = np.stack([encoder.embed_utterance(waveform) for waveform in prepared])
    for precision, backbone in backbones.items():
        cosine = float((np.concatenate(backbone(audio, "embedding")) * expected).sum(axis=1).min())
        least = {"fp32": 0.9999, "bf16": 0.999}[precision]
        assert cosine >= least, f"the cosine of ours and Resemblyzer's is only {cosine}"
    lstm = exact.network.lstm
    inputs = [lstm.input_size] + [lstm.hidden_size] * (lstm.num_layers - 1)
    n_rows = PARTIAL_FRAMES * sum(len(exact.partials(speech)) for speech in prepared)
    taken = best_by_turns(
        {
            **{precision: partial(backbone.embed, prepared) for precision, backbone in backbones.items()},
            "peer": lambda: [encoder.embed_utterance(each) for each in prepared],
            "floor": recurrent_products(inputs, lstm.hidden_size, n_rows),
            "with preparation": lambda: exact(audio, "embedding"),
            "peer with preparation": lambda: [
                encoder.embed_utterance(resemblyzer.preprocess_wav(each)) for each in audio
            ],
        },
        clock=time.process_time,
    )
    speed = {key: sum(map(len, audio)) / 16_000 / seconds for key, seconds in taken.items()}
    for precision in backbones:
        print_comparison("ge2e" if precision == "fp32" else f"ge2e_{precision}", speed[precision], speed["peer"], UNIT)
    print_comparison("ge2e_floor", speed["fp32"], speed["floor"], UNIT)
    print_comparison("ge2e_with_preparation", speed["with preparation"], speed["peer with preparation"], UNIT)
