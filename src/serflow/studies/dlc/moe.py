"""Mixture of experts (section IV-A.2): an encoder for each noise condition, decoder and classifier shared."""

from torch import Tensor

from serflow.nn.routing import RoutedExperts
from serflow.studies.dlc.models import Classifier, Decoder, Encoder, Network, Output, Sizes
from serflow.studies.dlc.options import ModelOptions


class MixtureOfExperts(Network):
    """Routes each utterance to the encoder of its condition; MoE-SLC and MoE-DLC differ in their batches."""

    def __init__(self, sizes: Sizes, options: ModelOptions) -> None:
        super().__init__()
        self.encoders = RoutedExperts(Encoder(sizes.n_bands, options) for _ in range(sizes.n_conditions))
        self.decoder = Decoder(sizes.n_bands, options)
        self.classifier = Classifier(sizes.n_classes, options)

    def forward(self, frames: Tensor, lengths: Tensor, conditions: Tensor) -> Output:
        """Run on noisy features; see `Network`."""
        code = self.encoders(conditions, frames, lengths)
        return Output(self.classifier(code, lengths), self.decoder(code, lengths, frames.shape[1]))
