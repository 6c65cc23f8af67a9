"""MADDoG (section IV-A.4; Gideon et al., 2019): a linear critic, trained by itself at the start of each epoch."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from serflow.nn.adversarial import clip_weights
from serflow.nn.pooling import global_max, pooled_lengths
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.losses import critic_loss, true_condition_output
from serflow.studies.dlc.models import AcousticModel, Precision, Sizes, Term
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.single import SingleEncoder
from serflow.training.fit import Optimizer


class CriticisedEncoder(AcousticModel):
    """Single, whose encoder lowers the critic's output at the true noise condition.

    The critic has three dense layers without activations between them, as the paper says.
    """

    counts: Tensor

    def __init__(self, sizes: Sizes, options: Options) -> None:
        super().__init__()
        maps, hidden = options.model.maps, options.model.hidden
        self.pool = options.model.pool
        self.weight = options.maddog.weight
        self.clip = options.maddog.clip
        self.critic_batches = options.maddog.critic_batches
        self.single = SingleEncoder(sizes, options)
        self.critic = nn.Sequential(
            nn.Linear(maps, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, sizes.n_conditions)
        )
        self.register_buffer("counts", torch.tensor(sizes.condition_counts, dtype=torch.float32))

    def criticise(self, code: Tensor, batch: Batch) -> Tensor:
        """Return the critic's outputs ``(batch, conditions)`` for a code ``(batch, frames, maps)``."""
        outputs: Tensor = self.critic(global_max(code, pooled_lengths(batch.lengths, self.pool)))
        return outputs

    def encode(self, batch: Batch) -> Tensor:
        """Return the code, ``(batch, ceil(frames / pool), maps)``."""
        return self.single.encode(batch)

    def learn(self, batch: Batch) -> tuple[Tensor, dict[str, Term]]:
        """Return the code, the reconstruction error, and what the critic makes of the code."""
        code, terms = self.single.learn(batch)
        distance = true_condition_output(self.criticise(code, batch), batch.conditions)
        return code, {**terms, "similarity_loss": Term(self.weight, distance)}

    def trained_apart(self) -> nn.Module:
        """Return the critic."""
        return self.critic

    def learn_apart(self, batches: Iterator[Batch], optimizer: Optimizer, precision: Precision) -> dict[str, float]:
        """Let the critic learn its batches, its weights clipped after each; return its mean loss."""
        losses = []
        for batch in itertools.islice(batches, self.critic_batches):
            with precision():
                loss = self.critic_loss(batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            clip_weights(self.critic, self.clip)
            losses.append(loss.detach())
        return {"critic_loss": float(torch.stack(losses).double().mean())}

    def critic_loss(self, batch: Batch) -> Tensor:
        """Return what the critic minimises; the encoder is left alone."""
        with torch.no_grad():
            code = self.encode(batch)
        return critic_loss(self.criticise(code, batch), batch.conditions, self.counts)
