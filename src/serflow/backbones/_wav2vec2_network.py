"""wav2vec 2.0 (Baevski et al., NeurIPS 2020) through transformers, from the folder of a model."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import Wav2Vec2Model

from serflow.audio.waveform import FloatArray, check_waveform, is_constant
from serflow.backbones._batches import run_by_length
from serflow.backbones._checkpoint import weights_error
from serflow.backbones._hub import read_entries, read_pretrained, require_files
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.backbones.base import Output
from serflow.devices import autocast
from serflow.errors import AudioError
from serflow.nn.pooling import frame_mask
from serflow.rounding import rounding

_BATCH = 8
_EPSILON = 1e-7
"""Added to the variance of a waveform, as transformers' feature extractor does."""


def read_preprocessor(folder: Path, backbone: str) -> dict[str, Any]:
    """Read how waveforms are prepared: preprocessor_config.json, or that part of processor_config.json.

    Raises
    ------
    WeightsError
        If the folder has no config.json or neither of these files, or the file cannot be read.
    """
    _, file = require_files(folder, backbone, ("config.json",), ("preprocessor_config.json", "processor_config.json"))
    entries = read_entries(file, backbone)
    if file.name == "preprocessor_config.json":
        return entries
    preprocessor = entries.get("feature_extractor")
    if not isinstance(preprocessor, dict):
        raise weights_error(file, backbone, "has no entry feature_extractor")
    return preprocessor


def read_model(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Read a model's folder (config.json, its tensors, and what `read_preprocessor` reads).

    Nothing is downloaded.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or the model is not wav2vec 2.0.
    """
    preprocessor = read_preprocessor(folder, "wav2vec2")
    # the embedding of masked frames is used in training alone
    return read_pretrained(folder, "wav2vec2", Wav2Vec2Model, {"masked_spec_embed"}), preprocessor


def field_of_view(config: Any) -> int:
    """Return the samples that a frame of the convolutional encoder sees."""
    field = 1
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
        field = (field - 1) * stride + kernel
    return field


@contextmanager
def _numpy_seeded_by_torch() -> Iterator[None]:
    """Seed NumPy's own generator, from which transformers draws masks, so that torch's state is all that counts."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(torch.randint(2**32, ())))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


class Wav2Vec2(PretrainedNetwork):
    """wav2vec 2.0 as a module in the graph: waveforms to the last layer of the transformer.

    ``model`` is the one of transformers. In training mode it drops out, leaves layers out and masks frames as its
    ``config`` says (``apply_spec_augment``); masks belong to the context network, and rest when that is frozen.

    Models whose encoder normalises over channels (``feat_extract_norm: layer``, the large ones of Libri-Light) give a
    padded utterance what they give it alone. The base models normalise the first layer over time: zeros after the end
    change the mean and deviation of all its frames, whether they are masked from attention or not, and only rows of
    one length give what each gives alone.

    Parameters
    ----------
    model
        ``Wav2Vec2Model`` of transformers.
    preprocessor
        Content of ``preprocessor_config.json``.
    """

    PARTS: ClassVar[Mapping[str, Sequence[str]]] = {
        "encoder": ("model.feature_extractor",),
        "context": ("model.feature_projection", "model.masked_spec_embed", "model.encoder", "model.adapter"),
    }

    def __init__(self, model: Any, preprocessor: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.sample_rate = int(preprocessor.get("sampling_rate", 16_000))
        self.normalises = bool(preprocessor.get("do_normalize", True))
        self.field = field_of_view(model.config)
        self.hop = int(math.prod(model.config.conv_stride))

    @property
    def shortest(self) -> int:
        """Samples that a batch needs for the masks of training."""
        config = self.model.config
        masked = config.apply_spec_augment and config.mask_time_prob > 0
        return self.field + (config.mask_time_length - 1) * self.hop if masked else self.field

    def checkpoint_gradients(self, on: bool) -> Self:
        """Keep only the input of each layer of the transformer, and run it again for its gradients; or do not."""
        run = functools.partial(checkpoint, use_reentrant=False)
        # what transformers calls this in public changed within version 5
        self.model._set_gradient_checkpointing(enable=on, gradient_checkpointing_func=run)
        return self

    def forward(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        mask_padding: bool = True,
        alone: bool = False,
    ) -> Tensor:
        """Return the last layer ``(batch, n_frames, width)``; `n_frames` says how many frames of a row are speech.

        Models with ``do_stable_layer_norm`` end with a norm, which it has gone through; ``layer_N`` of
        `Wav2Vec2Backbone` is what comes before that norm.

        Parameters
        ----------
        waveforms
            ``(batch, n_samples)`` in -1..1 at ``sample_rate``; each is given mean 0 and variance 1 where the model
            was trained so. What is shorter than the encoder's field of view is continued by zeros.
        lengths
            Samples of each row ``(batch,)``, padding after them; whole rows if None.
        mask_padding
            Keep padding out of the attention. False runs on zeros as if they were speech, which is how the base models
            were trained (``return_attention_mask: false``).
        alone
            Run the convolutional encoder on each row by itself, without its padding: then, in every model, the frames
            of a row are those that it has alone. Needs ``lengths`` and ``mask_padding``.

        Raises
        ------
        AudioError
            If the batch is too short for the masks of training.
        """
        if alone and (lengths is None or not mask_padding):
            raise ValueError("rows can be run alone where their lengths are known and padding is masked")
        if self.normalises:
            waveforms = _normalise(waveforms, lengths)
        waveforms = F.pad(waveforms, (0, max(0, self.field - waveforms.shape[1])))
        mask = None
        if lengths is not None and mask_padding:
            mask = frame_mask(lengths.clamp(min=self.field), waveforms.shape[1])[..., 0].long()
        # where transformers looks before it masks frames
        self.model.training = self.model.encoder.training
        # for checkpointing it asks for gradients of its input, and fails where there are some already
        self.model.feature_extractor._requires_grad = not waveforms.requires_grad
        if not self.model.training:
            return self._run(waveforms, mask, lengths if alone else None)
        self._check_masks(waveforms.shape[1])
        with _numpy_seeded_by_torch():
            return self._run(waveforms, mask, lengths if alone else None)

    def n_frames(self, n_samples: Tensor) -> Tensor:
        """Return how many frames waveforms of ``n_samples`` have, by row."""
        return 1 + (n_samples.clamp(min=self.field) - self.field) // self.hop

    def _run(self, waveforms: Tensor, mask: Tensor | None, alone: Tensor | None) -> Tensor:
        if alone is None:
            states: Tensor = self.model(waveforms, attention_mask=mask).last_hidden_state
            return states
        model, n_frames = self.model, self.n_frames(torch.tensor(waveforms.shape[1]))
        parts = [
            model.feature_extractor(row[None, :length])[0].T
            for row, length in zip(waveforms, alone.clamp(min=self.field).tolist(), strict=True)
        ]
        # the same as Wav2Vec2Model does to the features of a batch
        features = torch.stack([F.pad(part, (0, 0, 0, int(n_frames) - len(part))) for part in parts])
        of_frames = frame_mask(self.n_frames(alone), features.shape[1])[..., 0]
        hidden, _ = model.feature_projection(features)
        hidden = model._mask_hidden_states(hidden, attention_mask=of_frames)
        states = model.encoder(hidden, attention_mask=of_frames).last_hidden_state
        return states if model.adapter is None else model.adapter(states)

    def _check_masks(self, n_samples: int) -> None:
        if n_samples < self.shortest:
            raise AudioError(
                f"a batch of {n_samples / self.sample_rate:.3f} s, where wav2vec 2.0 masks "
                f"{self.model.config.mask_time_length} frames at a time in training; leave out utterances below "
                f"{self.shortest / self.sample_rate:.3f} s"
            )


def _normalise(waveforms: Tensor, lengths: Tensor | None) -> Tensor:
    """Give each row ``(batch, n_samples)`` mean 0 and variance 1 over its length, and zeros after it.

    A row that is constant but for rounding, as `is_constant` says, becomes 0.
    """
    if lengths is None:
        lengths = torch.full((len(waveforms),), waveforms.shape[1], device=waveforms.device)
    speech = frame_mask(lengths, waveforms.shape[1])[..., 0]
    n = lengths[:, None]
    centred = (waveforms - (waveforms * speech).sum(dim=1, keepdim=True) / n) * speech
    variance = centred.square().sum(dim=1, keepdim=True) / n
    lowest = waveforms.detach().masked_fill(~speech, math.inf).amin(dim=1, keepdim=True)
    highest = waveforms.detach().masked_fill(~speech, -math.inf).amax(dim=1, keepdim=True)
    constant = highest - lowest <= rounding(torch.maximum(highest, -lowest).clamp(min=1.0))
    normalised: Tensor = (centred / (variance + _EPSILON).sqrt()).masked_fill(constant, 0.0)
    return normalised


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
        self._field = field_of_view(config)
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
