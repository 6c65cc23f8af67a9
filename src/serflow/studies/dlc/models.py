"""The networks' parts (section IV-A.1), and what all networks of the study share.

Shapes are ``(batch, frames, dim)`` throughout. Weights start as Keras starts them (Glorot uniform, biases
zero), since the paper's networks were built with it.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.convolution import Convolution, MaskedInstanceNorm, TransposedConvolution
from serflow.nn.pooling import frame_mask, global_max, max_pool, pooled_lengths
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.losses import cross_entropy, reconstruction
from serflow.studies.dlc.options import DECODER_STRIDES, ModelOptions
from serflow.training.fit import Losses

DECODER_KERNEL = 3


class Sizes(NamedTuple):
    """Sizes that the data give a network."""

    n_bands: int
    n_classes: int
    n_conditions: int


class Output(NamedTuple):
    """Logits ``(batch, classes)``, and clean features as the decoder sees them ``(batch, frames, bands)``."""

    logits: Tensor
    reconstruction: Tensor | None


class Encoder(nn.Module):
    """Dilated convolutions with ReLU, then max-pooling: ``(batch, frames, bands)`` to a shorter code."""

    def __init__(self, n_bands: int, options: ModelOptions) -> None:
        super().__init__()
        inputs = [n_bands] + [options.maps] * (len(options.dilations) - 1)
        self.pool = options.pool
        self.convolutions = nn.ModuleList(
            Convolution(dim, options.maps, options.kernel, dilation)
            for dim, dilation in zip(inputs, options.dilations, strict=True)
        )
        self.norms = nn.ModuleList(MaskedInstanceNorm(options.maps) for _ in inputs if options.instance_norm)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Encode.

        Parameters
        ----------
        frames
            ``(batch, frames, bands)``, zero on padded frames.
        lengths
            Frames of each utterance, ``(batch,)``.

        Returns
        -------
        Tensor
            ``(batch, ceil(frames / pool), maps)``; the code of an utterance has ``ceil(length / pool)`` frames.
        """
        mask = frame_mask(lengths, frames.shape[1]).float()
        for index, convolution in enumerate(self.convolutions):
            frames = convolution(frames, mask)
            if self.norms:
                frames = self.norms[index](frames, mask)
            frames = F.relu(frames, inplace=True)
        return max_pool(frames, self.pool)


class Decoder(nn.Module):
    """Two transposed convolutions with ReLU and one convolution: a code back to ``(batch, frames, bands)``."""

    def __init__(self, n_bands: int, options: ModelOptions) -> None:
        super().__init__()
        strides = DECODER_STRIDES[options.pool]
        self.pool = options.pool
        self.first = TransposedConvolution(options.maps, options.maps, DECODER_KERNEL, strides[0])
        self.second = TransposedConvolution(options.maps, n_bands, DECODER_KERNEL, strides[1])
        self.output = Convolution(n_bands, n_bands, DECODER_KERNEL)

    def forward(self, code: Tensor, lengths: Tensor, n_frames: int) -> Tensor:
        """Decode ``code`` of utterances of ``lengths`` frames, cut to ``n_frames``; zero on padded frames."""
        decoded = pooled_lengths(lengths, self.pool)
        for layer in (self.first, self.second):
            decoded = decoded * layer.stride
            code = F.relu(layer(code, frame_mask(decoded, code.shape[1] * layer.stride)), inplace=True)
        whole: Tensor = self.output(code, frame_mask(lengths, code.shape[1]))
        return whole[:, :n_frames]


class Classifier(nn.Module):
    """Maximum over the frames of the code, then three dense layers: ``(batch, frames, maps)`` to logits."""

    def __init__(self, n_classes: int, options: ModelOptions) -> None:
        super().__init__()
        self.pool = options.pool
        self.dense = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(options.maps, options.hidden),
            nn.ReLU(),
            nn.Linear(options.hidden, options.hidden),
            nn.ReLU(),
            nn.Linear(options.hidden, n_classes),
        )

    def forward(self, code: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(batch, classes)``; ``lengths`` are those of the utterances, before pooling."""
        logits: Tensor = self.dense(global_max(code, pooled_lengths(lengths, self.pool)))
        return logits


class Network(nn.Module):
    """What every network of the study does; ``forward`` is the method's own."""

    def forward(self, frames: Tensor, lengths: Tensor, conditions: Tensor) -> Output:
        """Run on noisy features.

        Parameters
        ----------
        frames
            Noisy features, ``(batch, frames, bands)``, zero on padded frames.
        lengths
            Frames of each utterance, ``(batch,)``.
        conditions
            Noise condition of each utterance, ``(batch,)``: known in training, predicted at test time.
        """
        raise NotImplementedError

    def losses(self, batch: Batch, class_weights: Tensor, reconstruction_weight: float) -> Losses:
        """Return the cross-entropy, plus the weighted reconstruction error where there is a decoder."""
        output = self(batch.noisy, batch.lengths, batch.conditions)
        task = cross_entropy(output.logits, batch.targets, class_weights)
        if output.reconstruction is None:
            return Losses(task, {"task_loss": task}, output.logits)
        mask = frame_mask(batch.lengths, batch.clean.shape[1])
        error = reconstruction(output.reconstruction, batch.clean, mask)
        total = task + reconstruction_weight * error
        return Losses(total, {"task_loss": task, "reconstruction_loss": error}, output.logits)


def initialise(network: nn.Module) -> None:
    """Draw Glorot-uniform weights and set biases to zero, in all convolutions and dense layers."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, TransposedConvolution, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
