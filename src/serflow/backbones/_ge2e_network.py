"""GE2E speaker encoder (Wan et al., ICASSP 2018, as trained for Resemblyzer): a recurrent network over mel partials."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from serflow.audio.mel import MelSpectrogram
from serflow.audio.voice import (
    HOP_LENGTH,
    N_MELS,
    PARTIAL_FRAMES,
    PARTIAL_STEP,
    SAMPLE_RATE,
    cut_silences,
    partial_starts,
    raise_level,
)
from serflow.audio.waveform import FloatArray, check_waveform
from serflow.backbones._checkpoint import Checkpoint
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.backbones.base import Output
from serflow.devices import autocast
from serflow.nn.normalisation import unit_rows
from serflow.rounding import rounding

_BATCH = {("cpu", "fp32"): 48, ("cpu", "bf16"): 64}
_GPU_BATCH = 512
"""Partials run at once. On the CPU fewer than 32 read the weights too often."""


class GE2E(PretrainedNetwork):
    """Embedding of mel partials: LSTM layers, the last state through a linear layer and ReLU, unit length.

    Frozen for extraction; what `serflow.backbones.base.load_network` gives can be trained on partials as the feature
    ``ge2e`` with ``output: partials`` gives them, reshaped to ``(n_partials, 160, 40)``.

    Parameters
    ----------
    n_mels
        Number of mel bands.
    hidden
        Units of an LSTM layer.
    n_layers
        Number of LSTM layers.
    dim
        Dimension of the embedding.
    """

    def __init__(self, n_mels: int = N_MELS, hidden: int = 256, n_layers: int = 3, dim: int = 256) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden, n_layers, batch_first=True)
        self.linear = nn.Linear(hidden, dim)

    def forward(self, partials: Tensor) -> Tensor:
        """Return embeddings ``(batch, dim)`` of mel power ``(batch, 160, n_mels)``; not negative, of length 1.

        A partial for which no unit of the last layer is active, but for rounding, has the embedding 0.
        """
        _, (states, _) = self.lstm(partials)
        active = F.relu(self.linear(states[-1])).float()
        with torch.no_grad():
            weight, bias = self.linear.weight.abs(), self.linear.bias.abs()
            magnitudes = torch.linalg.vector_norm(F.linear(states[-1].abs(), weight, bias).float(), dim=1)
        return unit_rows(active, rounding(magnitudes, self.linear.in_features + 1))


def pool_partials(embeddings: Tensor, counts: Sequence[int]) -> Tensor:
    """Return one embedding an utterance: the mean of those of its partials, scaled to length 1 again.

    Parameters
    ----------
    embeddings
        Embeddings of partials ``(sum of counts, dim)``, utterance after utterance.
    counts
        Number of partials of each utterance.

    Returns
    -------
    Embeddings ``(n_utterances, dim)``.
    """
    return F.normalize(torch.stack([each.mean(dim=0) for each in torch.split(embeddings, list(counts))]), dim=1)


def network_from(checkpoint: Checkpoint) -> GE2E:
    """Return the network of a checkpoint, its sizes read from the tensors, frozen.

    Raises
    ------
    WeightsError
        If a tensor is absent or has a shape that does not fit.
    """
    hidden = checkpoint.shape("lstm.weight_hh_l0", 2)[1]
    n_mels = checkpoint.shape("lstm.weight_ih_l0", 2)[1]
    if n_mels != N_MELS:
        raise checkpoint.error(f"the network takes {n_mels} mel bands, where {N_MELS} are given")
    n_layers = sum(name.startswith("lstm.weight_hh_l") for name in checkpoint.state)
    network = GE2E(n_mels, hidden, n_layers, checkpoint.shape("linear.weight", 2)[0])
    checkpoint.load_into(network)
    return network.eval().requires_grad_(False)


class GE2EBackbone:
    """GE2E over utterances: voice preparation, mel partials, network, mean; see `Backbone`.

    Outputs: ``embedding``, a vector of length 1, and ``partials``, the mel power that the network takes, a partial
    of 160 frames and 40 bands a row (frame after frame), every 0.77 s of the speech that is left.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, network: GE2E, device: torch.device, precision: str) -> None:
        self.network = network.to(device)
        self.device = device
        dim = network.linear.out_features
        hop_s = PARTIAL_STEP * HOP_LENGTH / SAMPLE_RATE
        self.outputs = {
            "embedding": Output("vector", dim, None, "unit length"),
            "partials": Output("frames", PARTIAL_FRAMES * N_MELS, hop_s, "power"),
        }
        self.description = {
            "network": "GE2E",
            "n_mels": N_MELS,
            "lstm_layers": network.lstm.num_layers,
            "lstm_units": network.lstm.hidden_size,
            "dim": dim,
        }
        self._autocast = autocast(device, precision)
        self._batch = _BATCH.get((device.type, precision), _GPU_BATCH)
        self._mel = MelSpectrogram(
            feature="ge2e",
            n_mels=N_MELS,
            n_fft=400,
            win_length=400,
            hop_length=HOP_LENGTH,
            fmin=0.0,
            fmax=8000.0,
            window="hann",
            floor=0.0,
            warp=0.0,
            exact=False,
        )

    def __call__(self, waveforms: Sequence[FloatArray], output: str) -> list[FloatArray]:
        """Return the embedding ``(1, dim)`` or the partials ``(n_partials, 6400)`` of each; see `Backbone`."""
        for waveform in waveforms:
            check_waveform(waveform)
        speech = [cut_silences(raise_level(waveform)) for waveform in waveforms]
        if output == "partials":
            partials = map(self.partials, speech)
            return [each.reshape(len(each), -1) for each in partials]
        return self.embed(speech)

    def embed(self, speech: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the embedding ``(1, dim)`` of each utterance whose level is set and whose silences are cut."""
        if not speech:
            return []
        partials = [self.partials(each) for each in speech]
        embeddings = pool_partials(self._embed(np.concatenate(partials)), [len(each) for each in partials])
        return [np.array(row[np.newaxis]) for row in embeddings.numpy()]

    def partials(self, speech: FloatArray) -> FloatArray:
        """Return mel partials ``(n_partials, 160, 40)`` of one utterance, prepared as for `embed`."""
        starts = partial_starts(len(speech))
        n_samples = (starts[-1] + PARTIAL_FRAMES) * HOP_LENGTH
        mel = self._mel(np.pad(speech, (0, max(0, n_samples - len(speech)))))
        return np.stack([mel[start : start + PARTIAL_FRAMES] for start in starts])

    @torch.inference_mode()
    def _embed(self, partials: FloatArray) -> Tensor:
        """Return embeddings ``(n_partials, dim)`` on the CPU, computed in batches of nearly the same size."""
        n_batches = -(-len(partials) // self._batch)
        with self._autocast():
            embeddings = [
                self.network(batch.to(self.device)).cpu()
                for batch in torch.from_numpy(partials).tensor_split(n_batches)
            ]
        return torch.cat(embeddings)
