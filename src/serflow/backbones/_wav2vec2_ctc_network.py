"""wav2vec 2.0 with a CTC head through transformers, and greedy decoding of what it says."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from serflow.audio.waveform import FloatArray, check_waveform
from serflow.backbones._batches import run_by_length
from serflow.backbones._hub import read_pretrained, require_files
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.backbones._wav2vec2_network import Wav2Vec2, Wav2Vec2Backbone, read_preprocessor
from serflow.backbones._wav2vec2_symbols import read_symbols
from serflow.backbones.base import Transcript
from serflow.errors import AudioError

_NAME = "wav2vec2_ctc"
_BATCH = 8


def read_model(folder: Path) -> tuple[Any, dict[str, Any], list[str]]:
    """Read a model's folder; return network, preprocessor and what each symbol adds to a transcript.

    Special symbols (``<s>``, the blank) add nothing, the end of a word adds a blank.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or the model is not wav2vec 2.0 with a CTC head.
    """
    from transformers import Wav2Vec2ForCTC

    preprocessor = read_preprocessor(folder, _NAME)
    require_files(folder, _NAME, ("vocab.json",))
    # the embedding of masked frames is used in training alone
    model = read_pretrained(folder, _NAME, Wav2Vec2ForCTC, spared=("wav2vec2.masked_spec_embed",))
    n_symbols, blank = model.config.vocab_size, model.config.pad_token_id
    symbols = read_symbols(folder, _NAME, n_symbols, blank)
    return model, preprocessor, [symbol.lower() for symbol in symbols]


class Wav2Vec2Ctc(PretrainedNetwork):
    """wav2vec 2.0 and its CTC head as a module in the graph; either can be had alone.

    Parameters
    ----------
    model
        ``Wav2Vec2ForCTC`` of transformers.
    preprocessor
        Content of ``preprocessor_config.json``.
    symbols
        What each output adds to a transcript; output ``blank`` is CTC's blank.
    """

    PARTS: ClassVar[Mapping[str, Sequence[str]]] = {
        **{part: tuple(f"wav2vec2.{name}" for name in names) for part, names in Wav2Vec2.PARTS.items()},
        "head": ("dropout", "head"),
    }

    def __init__(self, model: Any, preprocessor: Mapping[str, Any], symbols: Sequence[str]) -> None:
        super().__init__()
        self.wav2vec2 = Wav2Vec2(model.wav2vec2, preprocessor)
        self.dropout = model.dropout
        self.head = model.lm_head
        self.symbols = list(symbols)
        self.blank = int(model.config.pad_token_id)

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None, mask_padding: bool = True) -> Tensor:
        """Return logits ``(batch, n_frames, n_symbols)``; parameters and errors are those of `Wav2Vec2.forward`."""
        logits: Tensor = self.head(self.dropout(self.wav2vec2(waveforms, lengths, mask_padding)))
        return logits


class Wav2Vec2Recogniser(Wav2Vec2Backbone):
    """wav2vec 2.0 with a CTC head over utterances; see `Recogniser`.

    No language model: the best symbol of each frame, repetitions and blanks left out (Graves et al., ICML 2006).
    As the network normalises over time, only utterances of one length share a batch.
    """

    def __init__(
        self, model: Any, preprocessor: dict[str, Any], symbols: Sequence[str], device: torch.device, precision: str
    ) -> None:
        super().__init__(model.wav2vec2, preprocessor, device, precision)
        self.head = model.to(device)
        self.symbols = list(symbols)
        self.description = {
            **self.description,
            "network": "wav2vec 2.0 with CTC",
            "symbols": len(symbols),
            "decoding": "greedy, no language model",
            "confidence": "mean over frames of ln P(best symbol), 0 at most",
        }

    def transcribe(self, waveforms: Sequence[FloatArray]) -> list[Transcript]:
        """Return the words of each; what is shorter than 25 ms is continued by zeros."""
        for waveform in waveforms:
            check_waveform(waveform)
            if not np.isfinite(waveform).all():
                raise AudioError("a waveform has samples that are NaN or infinite; read audio through the shards")
        scores = run_by_length([self._prepare(each) for each in waveforms], _BATCH, self._log_probabilities)
        return [self._decode(each) for each in scores]

    @torch.inference_mode()
    def _log_probabilities(self, waveforms: Tensor) -> Tensor:
        with self._autocast():
            logits: Tensor = self.head(waveforms.to(self.device)).logits
        return torch.log_softmax(logits.float(), dim=2)

    def _decode(self, scores: FloatArray) -> Transcript:
        best = scores.argmax(axis=1)
        text = "".join(self.symbols[symbol] for symbol, _ in groupby(best.tolist()))
        return Transcript(" ".join(text.split()), float(scores.max(axis=1).mean(dtype=np.float64)))
