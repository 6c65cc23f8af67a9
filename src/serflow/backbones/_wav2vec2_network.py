"""wav2vec 2.0 (Baevski et al., NeurIPS 2020) through transformers, from the folder of a model."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Wav2Vec2Model

from serflow.audio.waveform import FloatArray, check_waveform, is_constant
from serflow.backbones._batches import run_by_length
from serflow.backbones._hub import read_entries, read_pretrained, require_files
from serflow.backbones.base import Output
from serflow.devices import autocast

_BATCH = 8
_EPSILON = 1e-7
"""Added to the variance of a waveform, as transformers' feature extractor does."""


def read_model(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Read a model's folder (config.json, model.safetensors or pytorch_model.bin, preprocessor_config.json).

    Nothing is downloaded.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or the model is not wav2vec 2.0.
    """
    require_files(folder, "wav2vec2", "config.json", "preprocessor_config.json")
    preprocessor = read_entries(folder / "preprocessor_config.json", "wav2vec2")
    # the embedding of masked frames is used in training alone
    return read_pretrained(folder, "wav2vec2", Wav2Vec2Model, {"masked_spec_embed"}), preprocessor


class Wav2Vec2Backbone:
    """wav2vec 2.0 over utterances; see `Backbone`.

    Outputs: ``layer_0`` (the input of the transformer) to ``layer_N`` (its last layer), and ``all``, these side by
    side. The base models normalise over time, so only utterances of one length share a batch.
    """

    def __init__(self, model: Any, preprocessor: dict[str, Any], device: torch.device, precision: str) -> None:
        self.model = model.to(device)
        self.device = device
        self.sample_rate = int(preprocessor.get("sampling_rate", 16_000))
        self.normalises = bool(preprocessor.get("do_normalize", True))
        config = model.config
        self.n_layers = config.num_hidden_layers
        hop_s = math.prod(config.conv_stride) / self.sample_rate
        self.outputs = {
            f"layer_{layer}": Output("frames", config.hidden_size, hop_s, "activation")
            for layer in range(self.n_layers + 1)
        }
        self.outputs["all"] = Output("frames", config.hidden_size * (self.n_layers + 1), hop_s, "activation")
        self.description = {
            "network": "wav2vec 2.0",
            "layers": self.n_layers,
            "width": config.hidden_size,
            "normalised_waveform": self.normalises,
        }
        self._field = 1
        for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
            self._field = (self._field - 1) * stride + kernel
        self._autocast = autocast(device, precision)

    def __call__(self, waveforms: Sequence[FloatArray], output: str) -> list[FloatArray]:
        """Return ``(n_frames, dim)`` of each; what is shorter than 25 ms is continued by zeros."""
        for waveform in waveforms:
            check_waveform(waveform)
        return run_by_length(
            [self._prepare(each) for each in waveforms], _BATCH, lambda batch: self._run(batch, output)
        )

    def _prepare(self, waveform: FloatArray) -> FloatArray:
        if self.normalises and is_constant(waveform):
            waveform = np.zeros_like(waveform)
        elif self.normalises:
            waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + np.float32(_EPSILON))
        return np.pad(waveform, (0, max(0, self._field - len(waveform))))

    @torch.inference_mode()
    def _run(self, waveforms: Tensor, output: str) -> Tensor:
        with self._autocast():
            layers = self.model(waveforms.to(self.device), output_hidden_states=True).hidden_states
        chosen: Tensor = torch.cat(layers, dim=2) if output == "all" else layers[int(output.removeprefix("layer_"))]
        return chosen
