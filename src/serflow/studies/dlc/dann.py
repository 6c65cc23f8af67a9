"""DANN (section IV-A.3; Ganin and Lempitsky, 2015): an adversary behind a gradient reversal guesses the condition."""

from torch import Tensor, nn

from serflow.nn.adversarial import GradientReversal, reversal_ramp
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.models import AcousticModel, Classifier, Sizes, Term
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.single import SingleEncoder


class Adversary(nn.Module):
    """A classifier of noise conditions whose gradient reaches the code reversed.

    It has the structure of the emotion classifier, with an output for each condition of training.
    """

    def __init__(self, n_conditions: int, options: Options) -> None:
        super().__init__()
        self.reversal = GradientReversal()
        self.ramp_epochs = options.adversary.ramp_epochs
        self.classifier = Classifier(n_conditions, options.model)

    def start_epoch(self, epoch: int) -> None:
        """Set the strength of the reversal for an epoch, from 0."""
        self.reversal.strength = reversal_ramp(epoch / self.ramp_epochs)

    def forward(self, code: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of the noise conditions, given a code ``(batch, frames, maps)``."""
        logits = self.classifier(self.reversal(code), batch.lengths)
        return nn.functional.cross_entropy(logits, batch.conditions)


class DomainAdversarial(AcousticModel):
    """Single, whose encoder is to make noise conditions indistinguishable."""

    def __init__(self, sizes: Sizes, options: Options) -> None:
        super().__init__()
        self.single = SingleEncoder(sizes, options)
        self.adversary = Adversary(sizes.n_conditions, options)
        self.weight = options.adversary.weight

    def start_epoch(self, epoch: int) -> None:
        """Set the strength of the adversary's gradient reversal."""
        self.adversary.start_epoch(epoch)

    def encode(self, batch: Batch) -> Tensor:
        """Return the code, ``(batch, ceil(frames / pool), maps)``."""
        return self.single.encode(batch)

    def learn(self, batch: Batch) -> tuple[Tensor, dict[str, Term]]:
        """Return the code, the reconstruction error, and the adversary's loss."""
        code, terms = self.single.learn(batch)
        return code, {**terms, "similarity_loss": Term(self.weight, self.adversary(code, batch))}
