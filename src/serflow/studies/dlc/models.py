"""The networks' parts (section IV-A.1), and what all networks of the study share.

Shapes are ``(batch, frames, dim)`` throughout. Weights start as Keras starts them (Glorot uniform, biases zero;
of recurrent layers those of all gates as one matrix), since the paper's networks were built with it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.convolution import Convolution, MaskedInstanceNorm, TransposedConvolution
from serflow.nn.pooling import frame_mask, global_max, max_pool, mean_and_deviation, pooled_lengths
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.losses import reconstruction
from serflow.studies.dlc.options import DECODER_STRIDES, ModelOptions, Options
from serflow.training.evaluation import cross_entropy
from serflow.training.fit import Optimizer

DECODER_KERNEL = 3

Precision = Callable[[], AbstractContextManager[Any]]


class Sizes(NamedTuple):
    """Sizes that the data give a network.

    ``condition_counts`` are the training utterances of each condition of training; ``text_dim`` is the size of a
    token's embedding, 0 where there is no text.
    """

    n_bands: int
    n_classes: int
    condition_counts: tuple[int, ...]
    text_dim: int = 0

    @property
    def n_conditions(self) -> int:
        """Conditions of training."""
        return len(self.condition_counts)


class Term(NamedTuple):
    """A loss besides the task's, and how much it weighs."""

    weight: float
    value: Tensor


class Outcome(NamedTuple):
    """What a network makes of a batch: the loss to minimise, its named terms, and logits ``(batch, classes)``."""

    total: Tensor
    terms: dict[str, Tensor]
    logits: Tensor


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


class Readout(nn.Module):
    """The code of an utterance as one vector: ``(batch, frames, maps)`` to ``(batch, dim)``.

    The paper does not say how; the authors' code takes the maximum over the utterance's frames.
    """

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.pool = options.pool
        self.over_time, n_values = {"max": (global_max, 1), "mean_std": (mean_and_deviation, 2)}[options.readout]
        self.dim = n_values * options.maps

    def forward(self, code: Tensor, lengths: Tensor) -> Tensor:
        """Return the vectors; ``lengths`` are those of the utterances, before pooling."""
        return self.over_time(code, pooled_lengths(lengths, self.pool))


class Classifier(nn.Module):
    """A readout of the code, then three dense layers: ``(batch, frames, maps)`` to logits."""

    def __init__(self, n_classes: int, options: ModelOptions) -> None:
        super().__init__()
        self.readout = Readout(options)
        self.dense = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(self.readout.dim, options.hidden),
            nn.ReLU(),
            nn.Linear(options.hidden, options.hidden),
            nn.ReLU(),
            nn.Linear(options.hidden, n_classes),
        )

    def forward(self, code: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(batch, classes)``; ``lengths`` are those of the utterances, before pooling."""
        logits: Tensor = self.dense(self.readout(code, lengths))
        return logits


class AcousticModel(nn.Module):
    """From noisy features to the code that the emotion is read from, with what else training asks of the code.

    One subclass a way of making the code; unimodal and multimodal networks share them (section IV-C).
    """

    def encode(self, batch: Batch) -> Tensor:
        """Return the code, ``(batch, ceil(frames / pool), maps)``."""
        raise NotImplementedError

    def learn(self, batch: Batch) -> tuple[Tensor, dict[str, Term]]:
        """Return the code, and the losses that train it besides the task's."""
        return self.encode(batch), {}

    def start_epoch(self, epoch: int) -> None:
        """Prepare an epoch, from 0."""

    def trained_apart(self) -> nn.Module | None:
        """Return the critic, which is trained by itself at the start of each epoch and frozen in the rest of it."""
        return None

    def learn_apart(self, batches: Iterator[Batch], optimizer: Optimizer, precision: Precision) -> dict[str, float]:
        """Train the critic on as many batches as it needs; return values for the history.

        ``batches`` never ends, ``optimizer`` holds the critic's parameters, and ``precision`` makes the context to
        compute losses in.
        """
        raise NotImplementedError


def denoising(decoder: Decoder, code: Tensor, batch: Batch, weight: float) -> dict[str, Term]:
    """Return the error of ``decoder`` on clean features, given the code of noisy ones (section V)."""
    n_frames = batch.clean.shape[1]
    decoded = decoder(code, batch.lengths, n_frames)
    error = reconstruction(decoded, batch.clean, frame_mask(batch.lengths, n_frames))
    return {"reconstruction_loss": Term(weight, error)}


class Network(nn.Module):
    """A network of the study: an acoustic model, and what reads the emotion from its code.

    ``stages`` are the parts of its training, in order, each with its own parameters and losses; most have one.
    """

    stages: tuple[str, ...] = ("all",)

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.acoustic = acoustic

    def classify(self, batch: Batch) -> Tensor:
        """Return logits ``(batch, classes)``; ``batch.conditions`` say which encoder to use where there are several."""
        raise NotImplementedError

    def losses(self, batch: Batch, class_weights: Tensor, stage: str = "all") -> Outcome:
        """Return what a stage of training minimises, its terms, and logits."""
        raise NotImplementedError

    def settled(self, batch: Batch, stage: str) -> Tensor | None:
        """Return what a stage of training leaves as it is and reads of utterances, ``(batch, ...)``; None for nothing.

        It is what `losses` of the stage would compute, where parts that stand still are in evaluation mode.
        """
        return None

    def parameters_of(self, stage: str) -> list[nn.Parameter]:
        """Return what a stage of training changes: all but the critic."""
        critic = self.acoustic.trained_apart()
        apart = set() if critic is None else {id(parameter) for parameter in critic.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in apart]

    def start_epoch(self, epoch: int, stage: str) -> None:
        """Prepare an epoch, from 0."""
        self.acoustic.start_epoch(epoch)


class AcousticClassifier(Network):
    """A unimodal network: an acoustic model, and a classifier that reads its code."""

    def __init__(self, acoustic: AcousticModel, n_classes: int, options: Options) -> None:
        super().__init__(acoustic)
        self.classifier = Classifier(n_classes, options.model)

    def classify(self, batch: Batch) -> Tensor:
        """Return logits ``(batch, classes)``."""
        logits: Tensor = self.classifier(self.acoustic.encode(batch), batch.lengths)
        return logits

    def losses(self, batch: Batch, class_weights: Tensor, stage: str = "all") -> Outcome:
        """Return the cross-entropy plus the weighted losses of the acoustic model."""
        code, terms = self.acoustic.learn(batch)
        logits = self.classifier(code, batch.lengths)
        return weighted_losses(cross_entropy(logits, batch.targets, class_weights), terms, logits)


def weighted_losses(task: Tensor, terms: dict[str, Term], logits: Tensor) -> Outcome:
    """Return the task's loss plus the weighted others."""
    total = task
    for term in terms.values():
        total = total + term.weight * term.value
    return Outcome(total, {"task_loss": task, **{name: term.value for name, term in terms.items()}}, logits)


def initialise(network: nn.Module) -> None:
    """Draw Glorot-uniform weights and set biases to zero; recurrent weights are orthogonal, an LSTM's forget bias 1."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, TransposedConvolution, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.RNNBase):
            _initialise_recurrent(module)


def _initialise_recurrent(layer: nn.RNNBase) -> None:
    """Draw a layer's weights: those of all gates are one matrix, as Keras has them, transposed."""
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
            # one of two biases that are added
            if isinstance(layer, nn.LSTM) and name.startswith("bias_ih"):
                with torch.no_grad():
                    parameter[layer.hidden_size : 2 * layer.hidden_size] = 1.0
