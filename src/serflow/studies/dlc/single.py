"""One encoder for all noise conditions, with a classifier and, for emotion, a decoder (section IV-A.1)."""

from torch import Tensor

from serflow.studies.dlc.models import Classifier, Decoder, Encoder, Network, Output, Sizes
from serflow.studies.dlc.options import ModelOptions


class SingleEncoder(Network):
    """The baseline; without a decoder, the noise classifier."""

    def __init__(self, sizes: Sizes, options: ModelOptions, decodes: bool = True) -> None:
        super().__init__()
        self.encoder = Encoder(sizes.n_bands, options)
        self.decoder = Decoder(sizes.n_bands, options) if decodes else None
        self.classifier = Classifier(sizes.n_classes, options)

    def forward(self, frames: Tensor, lengths: Tensor, conditions: Tensor) -> Output:
        """Run on noisy features; see `Network`. The conditions are not looked at."""
        code = self.encoder(frames, lengths)
        decoded = None if self.decoder is None else self.decoder(code, lengths, frames.shape[1])
        return Output(self.classifier(code, lengths), decoded)
