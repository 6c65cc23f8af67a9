"""A front end and a classifier on its frames: batches of waveforms to emotions."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.audio.mel import SAMPLE_RATE
from serflow.backbones._wav2vec_network import Wav2Vec
from serflow.backbones.base import load_network
from serflow.errors import ConfigError
from serflow.studies.temporal.catalog import SystemInfo
from serflow.studies.temporal.front_end import LogMelFrontEnd
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.strfnet import StrfNet

if TYPE_CHECKING:
    from serflow.studies.temporal.data import Batch

ClassifierT = TypeVar("ClassifierT", bound=nn.Module)


def milliseconds(n_samples: int) -> float:
    """Return the time of samples at 16 kHz (ms)."""
    return 1000 * n_samples / SAMPLE_RATE


class Wav2VecFrontEnd(nn.Module):
    """Context features c of wav2vec, in the graph; what is frozen is in evaluation mode.

    Its norms are over all of time, so utterances of one length are run together, and none is padded. There is no graph
    below the first layer that is trained: nothing of a frozen network is kept for gradients.

    Parameters
    ----------
    network
        As `serflow.backbones.base.load_network` gives it.
    n_layers
        Layers of the context network that are used; None for all. The others are dropped.

    Raises
    ------
    ConfigError
        If the context network has fewer layers.
    """

    def __init__(self, network: Wav2Vec, n_layers: int | None) -> None:
        super().__init__()
        geometry = network.geometry
        layers = geometry.conv_aggregator_layers
        if n_layers is not None and n_layers > len(layers):
            raise ConfigError(
                f"temporal.context_layers: {n_layers} layers, and the context network of wav2vec has "
                f"{len(layers)}; use a lower number"
            )
        context = network.feature_aggregator
        context.conv_layers, context.residual_proj = context.conv_layers[:n_layers], context.residual_proj[:n_layers]
        self.network = network
        self.n_layers = n_layers
        self.win_length = geometry.context_field(n_layers)
        self.hop = geometry.hop
        self.dim = (*geometry.conv_feature_layers, *layers[:n_layers])[-1][0]

    def n_frames(self, n_samples: Tensor) -> Tensor:
        """Return the frames of utterances of so many samples."""
        return self.network.n_frames(n_samples)

    def forward(self, waveforms: Tensor, n_samples: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Return ``(batch, frames, dim)``, zero beyond the end of an utterance.

        Parameters
        ----------
        waveforms
            ``(batch, n_samples)`` at 16 kHz; no normalisation.
        n_samples
            Samples of each, ``(batch,)``.
        sizes
            The same as the host has them; None to ask for them, which waits for a GPU.
        """
        of_length = sorted(Counter(n_samples.tolist() if sizes is None else sizes).items())
        order = torch.argsort(n_samples, stable=True)
        groups = torch.split(waveforms.index_select(0, order), [count for _, count in of_length])
        found = [
            self.network(group[:, :length], self.n_layers)[1]
            for group, (length, _) in zip(groups, of_length, strict=True)
        ]
        most = max(context.shape[1] for context in found)
        whole = torch.cat([F.pad(context, (0, 0, 0, most - context.shape[1])) for context in found])
        return whole.index_select(0, torch.argsort(order))


def hide(frames: Tensor, lengths: Tensor, hidden: Tensor) -> Tensor:
    """Fill what SpecAugment hides with the mean of an utterance's own values.

    Parameters
    ----------
    frames
        Log-mel frames ``(batch, frames, bands)``, zero beyond the end of each utterance.
    lengths
        Frames of each, ``(batch,)``.
    hidden
        ``(batch, frames, bands)``, false beyond the end of each.
    """
    mean = frames.sum((1, 2)) / (lengths * frames.shape[2])
    return torch.where(hidden, mean[:, None, None], frames)


class Network(nn.Module, Generic[ClassifierT]):
    """A front end and a classifier.

    Parameters
    ----------
    front_end
        Waveforms to frames: log-mel, or c of wav2vec.
    classifier
        Frames to emotions.
    """

    def __init__(self, front_end: LogMelFrontEnd | Wav2VecFrontEnd, classifier: ClassifierT) -> None:
        super().__init__()
        self.front_end = front_end
        self.classifier: ClassifierT = classifier

    @property
    def window_ms(self) -> float:
        """Time that a frame sees (ms)."""
        return milliseconds(self.front_end.win_length)

    @property
    def hop_ms(self) -> float:
        """Time from one frame to the next (ms)."""
        return milliseconds(self.front_end.hop)

    def read(self, batch: "Batch") -> tuple[dict[str, Tensor], Tensor]:
        """Return frames ``(batch, frames, dim)`` and their lengths.

        Those of the waveforms are called ``spectrogram``, those of their pulses ``pulses``, as `Stream` has them.
        """
        lengths = self.front_end.n_frames(batch.n_samples)
        if isinstance(self.front_end, Wav2VecFrontEnd):
            return {"spectrogram": self.front_end(batch.waveforms, batch.n_samples, batch.sizes)}, lengths
        waveforms = {"spectrogram": batch.waveforms, "pulses": batch.pulses}
        frames = {
            name: self.front_end(samples, batch.n_samples, batch.warps)
            for name, samples in waveforms.items()
            if samples is not None
        }
        if batch.hidden is not None:
            frames = {name: hide(values, lengths, batch.hidden) for name, values in frames.items()}
        return frames, lengths

    def counted(self, batch: "Batch") -> list[int] | None:
        """Return the lengths that `read` returns as the host has them; None where the batch does not say."""
        if batch.sizes is None:
            return None
        n_frames: list[int] = self.front_end.n_frames(torch.tensor(batch.sizes)).tolist()
        return n_frames


def make_front_end(
    info: SystemInfo, options: Options, weights: Path | None, device: torch.device
) -> LogMelFrontEnd | Wav2VecFrontEnd:
    """Return what a system reads.

    ``weights`` are those of wav2vec; a system that reads log-mel has no use for them.

    Raises
    ------
    ConfigError
        If wav2vec's context network has fewer layers than are asked for.
    WeightsError
        If the weights are not those of wav2vec.
    """
    if info.reads == "log_mel":
        return LogMelFrontEnd(options.framing)
    if weights is None:
        raise ValueError(f"{info.title} reads wav2vec, and there are no weights")
    network = load_network("wav2vec", weights, device.type, options.segment_net.fine_tune)
    assert isinstance(network, Wav2Vec)
    return Wav2VecFrontEnd(network, options.segment_net.context_layers)


def parameter_groups(network: Network[Any], options: Options) -> list[dict[str, Any]]:
    """Return the groups for the optimiser: what is trained, rates and scales of receptive fields apart.

    Those are never decayed towards 0, which is no modulation. What is frozen is left out.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    fields = network.classifier.receptive_fields() if isinstance(network.classifier, StrfNet) else []
    apart = {id(parameter) for parameter in fields}
    rate = options.training.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if id(parameter) not in apart], "lr": rate}
    ]
    return [*groups, {"params": fields, "lr": rate, "weight_decay": 0.0}] if fields else groups
