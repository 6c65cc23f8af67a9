"""Domain Separation Network (section IV-A.5, figure 3; Bousmalis et al., 2016): a shared and private encoders."""

import torch
from torch import Tensor

from serflow.nn.normalisation import MaskedBatchNorm
from serflow.nn.pooling import frame_mask, global_max, pooled_lengths
from serflow.nn.routing import RoutedExperts
from serflow.studies.dlc.dann import Adversary
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.losses import difference
from serflow.studies.dlc.models import AcousticModel, Decoder, Encoder, Sizes, Term, denoising
from serflow.studies.dlc.options import Options


class DomainSeparation(AcousticModel):
    """The emotion is read from the shared code; a private encoder per noise condition keeps what is the noise's own.

    The decoder restores the clean features from the normalised sum of both codes, an adversary behind a gradient
    reversal makes the shared code the same for all conditions, and the two codes are kept apart. DSN-SLC and DSN-DLC
    differ in their batches. With ``task_code: combined`` the emotion is read from the normalised sum.
    """

    def __init__(self, sizes: Sizes, options: Options) -> None:
        super().__init__()
        self.weights = options.dsn
        self.pool = options.model.pool
        self.shared = Encoder(sizes.n_bands, options.model)
        self.private = RoutedExperts(Encoder(sizes.n_bands, options.model) for _ in range(sizes.n_conditions))
        self.norm = MaskedBatchNorm(options.model.maps)
        self.decoder = Decoder(sizes.n_bands, options.model)
        self.adversary = Adversary(sizes.n_conditions, options)

    def start_epoch(self, epoch: int) -> None:
        """Set the strength of the adversary's gradient reversal."""
        self.adversary.start_epoch(epoch)

    def _combined(self, shared: Tensor, private: Tensor, batch: Batch) -> Tensor:
        mask = frame_mask(pooled_lengths(batch.lengths, self.pool), shared.shape[1])
        combined: Tensor = self.norm(shared + private, mask)
        return combined

    def _private(self, batch: Batch) -> Tensor:
        private: Tensor = self.private(batch.conditions, batch.noisy, batch.lengths, sizes=batch.expert_rows)
        return private

    def encode(self, batch: Batch) -> Tensor:
        """Return the code, ``(batch, ceil(frames / pool), maps)``; the shared one needs no condition."""
        shared: Tensor = self.shared(batch.noisy, batch.lengths)
        if self.weights.task_code == "shared":
            return shared
        return self._combined(shared, self._private(batch), batch)

    def learn(self, batch: Batch) -> tuple[Tensor, dict[str, Term]]:
        """Return the code, and the losses of reconstruction, similarity and difference."""
        shared: Tensor = self.shared(batch.noisy, batch.lengths)
        private = self._private(batch)
        combined = self._combined(shared, private, batch)
        lengths = pooled_lengths(batch.lengths, self.pool)
        of_private, of_shared = global_max(torch.cat([private, shared], dim=2), lengths).chunk(2, dim=1)
        apart = difference(of_private, of_shared, batch.conditions, len(self.private.experts))
        terms = {
            **denoising(self.decoder, combined, batch, self.weights.reconstruction),
            "similarity_loss": Term(self.weights.similarity, self.adversary(shared, batch)),
            "difference_loss": Term(self.weights.difference, apart),
        }
        return shared if self.weights.task_code == "shared" else combined, terms
