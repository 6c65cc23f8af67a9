"""What wav2vec 2.0 models have in common in the hub's format, with and without a CTC head."""

import json
import string
from pathlib import Path
from typing import Any

NARROW: dict[str, Any] = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
"""Sizes of the stand-ins."""

PREPROCESSOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16_000,
    "padding_value": 0.0,
    "do_normalize": True,
    "return_attention_mask": False,
}
"""Content of ``preprocessor_config.json`` of the released base models."""

SYMBOLS = ("<pad>", "<s>", "</s>", "<unk>", "|", *string.ascii_uppercase, "'")
"""The releases' 32 symbols: blank, three that never stand in a transcript, the end of a word, then letters."""


def write_processor(folder: Path) -> None:
    """Write what belongs to a stand-in besides its network: how waveforms are prepared, and the symbols."""
    vocabulary = {symbol: place for place, symbol in enumerate(SYMBOLS)}
    for name, content in (("preprocessor_config", PREPROCESSOR), ("vocab", vocabulary)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
