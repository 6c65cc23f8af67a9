"""wav2vec 1.0 (Schneider et al., Interspeech 2019): convolutions on the waveform, and causal ones over their output."""

import argparse
import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from serflow.audio.waveform import FloatArray, check_waveform
from serflow.backbones._batches import run_by_length
from serflow.backbones._checkpoint import Checkpoint, read_content, weights_error
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.backbones.base import Output
from serflow.devices import autocast
from serflow.errors import ConfigError

SAMPLE_RATE = 16_000
_BATCH = 8

Layers = Sequence[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a checkpoint says of its network; the names are those of fairseq's options.

    A layer is ``(channels, kernel, stride)``.
    """

    conv_feature_layers: Layers
    conv_aggregator_layers: Layers
    log_compression: bool = False
    skip_connections_feat: bool = False
    skip_connections_agg: bool = False
    residual_scale: float = 0.5
    agg_zero_pad: bool = False
    no_conv_bias: bool = False

    @property
    def field(self) -> int:
        """Samples that one frame of the encoder sees."""
        field = 1
        for _, kernel, stride in reversed(self.conv_feature_layers):
            field = (field - 1) * stride + kernel
        return field

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.conv_feature_layers)

    def context_field(self, n_layers: int | None = None) -> int:
        """Return the samples that one frame sees after ``n_layers`` of the context network (all of them if None)."""
        return self.field + self.hop * sum(kernel - 1 for _, kernel, _ in self.conv_aggregator_layers[:n_layers])


class EncoderLayer(nn.Sequential):
    """Convolution, group norm over time and channels, ReLU; children 0 and 2 hold the weights, as in the release."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__(
            nn.Conv1d(n_in, n_out, kernel, stride, bias=False), nn.Identity(), nn.GroupNorm(1, n_out), nn.ReLU()
        )


class Encoder(nn.Module):
    """Waveforms ``(batch, n_samples)`` to z ``(batch, channels, frames)``."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        widths = [1, *(channels for channels, _, _ in geometry.conv_feature_layers)]
        self.conv_layers = nn.ModuleList(
            EncoderLayer(n_in, *layer) for n_in, layer in zip(widths, geometry.conv_feature_layers, strict=False)
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return z."""
        x = waveforms[:, None]
        for layer in self.conv_layers:
            before, x = x, layer(x)
            if self.geometry.skip_connections_feat and x.shape[1] == before.shape[1]:
                thinned = before[..., :: before.shape[2] // x.shape[2]][..., : x.shape[2]]
                x = (x + thinned) * math.sqrt(self.geometry.residual_scale)
        return torch.log1p(x.abs()) if self.geometry.log_compression else x


class ContextLayer(nn.Sequential):
    """Convolution over this and earlier frames, group norm, ReLU; children 1 and 3 hold the weights."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, bias: bool) -> None:
        super().__init__(
            nn.Identity(),
            nn.Conv1d(n_in, n_out, kernel, stride, bias=bias),
            nn.Identity(),
            nn.GroupNorm(1, n_out),
            nn.ReLU(),
        )
        self.kernel = kernel


class Context(nn.Module):
    """z to c ``(batch, channels, frames)``, each frame from itself and those before it."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        layers = geometry.conv_aggregator_layers
        widths = [geometry.conv_feature_layers[-1][0], *(channels for channels, _, _ in layers)]
        self.conv_layers = nn.ModuleList(
            ContextLayer(n_in, *layer, bias=not geometry.no_conv_bias)
            for n_in, layer in zip(widths, layers, strict=False)
        )
        self.residual_proj = nn.ModuleList(
            nn.Conv1d(n_in, n_out, 1, bias=False) if geometry.skip_connections_agg and n_in != n_out else nn.Identity()
            for n_in, (n_out, _, _) in zip(widths, layers, strict=False)
        )

    def forward(self, z: Tensor, n_layers: int | None = None) -> Tensor:
        """Return c after the first ``n_layers``, all of them if None."""
        x = z
        for layer, project in zip(self.conv_layers[:n_layers], self.residual_proj[:n_layers], strict=True):
            assert isinstance(layer, ContextLayer)
            first = torch.zeros_like(x[..., :1]) if self.geometry.agg_zero_pad else x[..., :1]
            earlier = first.expand(-1, -1, layer.kernel - 1)
            before, x = x, layer(torch.cat([earlier, x], dim=2))
            if self.geometry.skip_connections_agg:
                x = (x + project(before)) * math.sqrt(self.geometry.residual_scale)
        return x


class Wav2Vec(PretrainedNetwork):
    """Encoder ``feature_extractor`` and context network ``feature_aggregator``, under fairseq's names.

    Each norm is over all frames of a row, and zeros after the end of an utterance are frames like any other: padding
    changes the mean and deviation that *every* frame of the utterance is normalised with, and there is no mask that
    the network would know. Only rows of one length give what each would give alone. But for the norms, a frame sees
    itself and what came before.
    """

    PARTS: ClassVar[Mapping[str, Sequence[str]]] = {
        "encoder": ("feature_extractor",),
        "context": ("feature_aggregator",),
    }

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.feature_extractor = Encoder(geometry)
        self.feature_aggregator = Context(geometry)

    def forward(self, waveforms: Tensor, context_layers: int | None = None) -> tuple[Tensor, Tensor]:
        """Return z and c ``(batch, frames, channels)`` of waveforms ``(batch, n_samples)`` in -1..1 at 16 kHz.

        Parameters
        ----------
        waveforms
            What is shorter than the encoder's field of view is continued by zeros.
        context_layers
            Take c after so many layers of the context network (0: c is z); all of them if None. A frame of c then
            sees ``geometry.context_field(context_layers)`` samples.

        Raises
        ------
        ConfigError
            If the context network has fewer layers.
        """
        most = len(self.geometry.conv_aggregator_layers)
        if context_layers is not None and not 0 <= context_layers <= most:
            raise ConfigError(f"{context_layers} layers of wav2vec's context network; this one has 0 to {most}")
        z = self.feature_extractor(F.pad(waveforms, (0, max(0, self.geometry.field - waveforms.shape[1]))))
        return z.transpose(1, 2), self.feature_aggregator(z, context_layers).transpose(1, 2)

    def n_frames(self, n_samples: Tensor) -> Tensor:
        """Return how many frames waveforms of ``n_samples`` have, by row."""
        return 1 + (n_samples.clamp(min=self.geometry.field) - self.geometry.field) // self.geometry.hop


# What an option must be for this network to compute the same; others are read into Geometry or do not matter here.
_FIXED = {"activation": "relu", "vq_type": "none", "aggregator": "cnn", "non_affine_group_norm": False}


def _layers(text: Any) -> Layers:
    """Read ``[(512, 10, 5)] + [(512, 4, 2)] * 3``, a sum of lists of layers, some of them repeated."""

    def value(node: ast.expr) -> list[Any]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * int(ast.literal_eval(node.right))
        return list(ast.literal_eval(node))

    layers = value(ast.parse(text, mode="eval").body) if isinstance(text, str) else text
    return [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]


def read_geometry(path: Path, options: Mapping[str, Any]) -> Geometry:
    """Return the geometry that a checkpoint's options describe.

    Raises
    ------
    WeightsError
        If an option is missing, unreadable, or asks for another network than wav2vec 1.0.
    """
    for name, needed in _FIXED.items():
        found = options.get(name, needed)
        if found != needed:
            raise weights_error(path, "wav2vec", f"was made with {name} {found}; only {needed} is read")
    try:
        return Geometry(
            _layers(options["conv_feature_layers"]),
            _layers(options["conv_aggregator_layers"]),
            log_compression=bool(options.get("log_compression", False)),
            skip_connections_feat=bool(options.get("skip_connections_feat", False)),
            skip_connections_agg=bool(options.get("skip_connections_agg", False)),
            residual_scale=float(options.get("residual_scale", 0.5)),
            agg_zero_pad=bool(options.get("agg_zero_pad", False)),
            no_conv_bias=bool(options.get("no_conv_bias", False)),
        )
    except (KeyError, SyntaxError, TypeError, ValueError) as error:
        raise weights_error(path, "wav2vec", f"has no readable layers ({type(error).__name__}: {error})") from error


def read_network(path: Path) -> Wav2Vec:
    """Read a fairseq checkpoint, with its options under ``args`` (old) or ``cfg`` (new), frozen.

    Raises
    ------
    WeightsError
        If the file is no such checkpoint.
    """
    content = read_content(path, "wav2vec", allowed=[argparse.Namespace])
    content = content if isinstance(content, Mapping) else {}
    options: Any = content.get("args")
    if options is None and isinstance(content.get("cfg"), Mapping):
        options = content["cfg"].get("model")
    options = vars(options) if isinstance(options, argparse.Namespace) else options
    if not isinstance(options, Mapping) or not isinstance(content.get("model"), Mapping):
        raise weights_error(path, "wav2vec", "has no model and args (or cfg.model), as fairseq's checkpoints have")
    network = Wav2Vec(read_geometry(path, options))
    Checkpoint(path, "wav2vec", content["model"]).load_into(network)
    return network.eval().requires_grad_(False)


class Wav2VecBackbone:
    """wav2vec 1.0 over utterances; see `Backbone`. Outputs: ``encoder`` (z) and ``context`` (c).

    The group norm is over time, so only utterances of one length share a batch. No normalisation of the waveform.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, network: Wav2Vec, device: torch.device, precision: str) -> None:
        self.network = network.to(device)
        self.device = device
        geometry = network.geometry
        hop_s = geometry.hop / SAMPLE_RATE
        self.outputs: Mapping[str, Output] = {
            "encoder": Output("frames", geometry.conv_feature_layers[-1][0], hop_s, "activation"),
            "context": Output("frames", geometry.conv_aggregator_layers[-1][0], hop_s, "activation"),
        }
        self.description: Mapping[str, Any] = {
            "network": "wav2vec 1.0",
            "encoder_layers": [list(layer) for layer in geometry.conv_feature_layers],
            "context_layers": [list(layer) for layer in geometry.conv_aggregator_layers],
            "field_samples": geometry.context_field(),
        }
        self._autocast = autocast(device, precision)

    def __call__(self, waveforms: Sequence[FloatArray], output: str) -> list[FloatArray]:
        """Return z or c ``(n_frames, dim)`` of each; what is shorter than 29 ms is continued by zeros."""
        for waveform in waveforms:
            check_waveform(waveform)
        field = self.network.geometry.field
        padded = [np.pad(waveform, (0, max(0, field - len(waveform)))) for waveform in waveforms]
        return run_by_length(padded, _BATCH, lambda batch: self._run(batch, output))

    @torch.inference_mode()
    def _run(self, waveforms: Tensor, output: str) -> Tensor:
        with self._autocast():
            z = self.network.feature_extractor(waveforms.to(self.device))
            frames: Tensor = z if output == "encoder" else self.network.feature_aggregator(z)
        return frames.transpose(1, 2)
