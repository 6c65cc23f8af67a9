"""Mixture of experts (section IV-A.2): an encoder for each noise condition, decoder and classifier shared."""

from torch import Tensor

from serflow.nn.routing import RoutedExperts
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.models import AcousticModel, Decoder, Encoder, Sizes, Term, denoising
from serflow.studies.dlc.options import Options


class MixtureOfExperts(AcousticModel):
    """Routes each utterance to the encoder of its condition; MoE-SLC and MoE-DLC differ in their batches."""

    def __init__(self, sizes: Sizes, options: Options) -> None:
        super().__init__()
        self.encoders = RoutedExperts(Encoder(sizes.n_bands, options.model) for _ in range(sizes.n_conditions))
        self.decoder = Decoder(sizes.n_bands, options.model)
        self.reconstruction_weight = options.training.reconstruction_weight

    def encode(self, batch: Batch) -> Tensor:
        """Return the code, ``(batch, ceil(frames / pool), maps)``, rows in the order of the batch."""
        code: Tensor = self.encoders(batch.conditions, batch.noisy, batch.lengths, sizes=batch.expert_rows)
        return code

    def learn(self, batch: Batch) -> tuple[Tensor, dict[str, Term]]:
        """Return the code and the reconstruction error."""
        code = self.encode(batch)
        return code, denoising(self.decoder, code, batch, self.reconstruction_weight)
