"""One encoder for all noise conditions, with a decoder for emotion (section IV-A.1)."""

from torch import Tensor

from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.models import AcousticModel, Decoder, Encoder, Sizes, Term, denoising
from serflow.studies.dlc.options import Options


class SingleEncoder(AcousticModel):
    """The baseline; without a decoder, the noise classifier's. The conditions are not looked at."""

    def __init__(self, sizes: Sizes, options: Options, decodes: bool = True) -> None:
        super().__init__()
        self.encoder = Encoder(sizes.n_bands, options.model)
        self.decoder = Decoder(sizes.n_bands, options.model) if decodes else None
        self.reconstruction_weight = options.training.reconstruction_weight if decodes else 0.0

    def encode(self, batch: Batch) -> Tensor:
        """Return the code, ``(batch, ceil(frames / pool), maps)``."""
        code: Tensor = self.encoder(batch.noisy, batch.lengths)
        return code

    def learn(self, batch: Batch) -> tuple[Tensor, dict[str, Term]]:
        """Return the code and, where there is a decoder, the reconstruction error."""
        code = self.encode(batch)
        if self.decoder is None:
            return code, {}
        return code, denoising(self.decoder, code, batch, self.reconstruction_weight)
