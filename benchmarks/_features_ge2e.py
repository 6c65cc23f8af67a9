"""GE2E against Resemblyzer: waveforms to embeddings, one thread each, the same weights."""

import warnings
from pathlib import Path

import numpy as np

from _common import best_by_turns, print_comparison
from serflow.backbones import ge2e
from serflow.features.base import FloatArray

UNIT = "audio-s/s"


def compare(audio: list[FloatArray]) -> None:
    """Print ours over Resemblyzer's: from prepared speech (`embed_utterance`), and from the waveform."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Resemblyzer imports and calls what SciPy and librosa deprecate
        _compare(audio)


def _compare(audio: list[FloatArray]) -> None:
    import resemblyzer

    weights = Path(resemblyzer.__file__).parent / "pretrained.pt"
    exact, rough = (ge2e.load(weights, "cpu", precision) for precision in ("fp32", "bf16"))
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    prepared = [resemblyzer.preprocess_wav(waveform) for waveform in audio]
    expected = np.stack([encoder.embed_utterance(waveform) for waveform in prepared])
    for backbone, least in ((exact, 0.9999), (rough, 0.999)):
        cosine = float((np.concatenate(backbone(audio, "embedding")) * expected).sum(axis=1).min())
        assert cosine >= least, f"the cosine of ours and Resemblyzer's is only {cosine}"
    taken = best_by_turns(
        {
            "ge2e": lambda: exact.embed(prepared),
            "ge2e_bf16": lambda: rough.embed(prepared),
            "peer": lambda: [encoder.embed_utterance(each) for each in prepared],
            "ge2e_with_preparation": lambda: exact(audio, "embedding"),
            "peer with preparation": lambda: [
                encoder.embed_utterance(resemblyzer.preprocess_wav(each)) for each in audio
            ],
        }
    )
    speed = {key: sum(map(len, audio)) / 16_000 / seconds for key, seconds in taken.items()}
    print_comparison("ge2e", speed["ge2e"], speed["peer"], UNIT)
    print_comparison("ge2e_bf16", speed["ge2e_bf16"], speed["peer"], UNIT)
    print_comparison("ge2e_with_preparation", speed["ge2e_with_preparation"], speed["peer with preparation"], UNIT)
