"""HFFN (section IV-A.6; Mai, Hu and Xing, ACL 2019): contextual unimodal branches, and fusion by local outer products.

Sizes are those of the authors' code, which the paper follows (mmfusion; Mai's own is wider). Utterances of a dialogue
are rows of the batch in the order of its turns: the branches look across them, the fusion at each by itself.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.convolution import Convolution
from serflow.nn.normalisation import MaskedBatchNorm
from serflow.nn.pooling import frame_mask, global_max, max_pool, pooled_lengths
from serflow.nn.sequences import Context, Turns, find_turns
from serflow.studies.dlc.abs_lstm import UNITS, AbsLstm
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.losses import negative_cosine
from serflow.studies.dlc.models import AcousticModel, Network, Outcome, Readout, Sizes, Term, weighted_losses
from serflow.studies.dlc.options import ModelOptions, Options
from serflow.training.evaluation import cross_entropy

ACTIVATIONS = 100
BLOCK = 2
CONTEXT_UNITS = 32
CONTEXT_DROPOUT = 0.3
TEXT_MAPS = 50
TEXT_DROPOUT = 0.2
TEXT_POOL = 4
TEXT_RESIDUAL = ((4, 1), (8, 2), (8, 2))
FUSION_DROPOUT = 0.6
FUSION_HIDDEN = 50
OUTPUT_DROPOUT = 0.5


class AcousticBranch(nn.Module):
    """Acoustic code ``(batch, frames, maps)`` to activations ``(batch, 100)`` in the context of the dialogue."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.readout = Readout(options)
        self.dropout = nn.Dropout(CONTEXT_DROPOUT)
        self.context = Context("gru", self.readout.dim, CONTEXT_UNITS)
        self.dense = nn.Linear(2 * CONTEXT_UNITS, ACTIVATIONS)

    def forward(self, code: Tensor, lengths: Tensor, turns: Turns) -> Tensor:
        """Return activations; ``lengths`` are those of the utterances, before pooling."""
        return F.relu(self.dense(self.context(self.dropout(self.readout(code, lengths)), turns)))


class ResidualBlock(nn.Module):
    """Dilated convolutions over tokens, each with batch normalisation and ReLU, added to what came in."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(Convolution(maps, maps, *shape) for shape in TEXT_RESIDUAL)
        self.norms = nn.ModuleList(MaskedBatchNorm(maps) for _ in TEXT_RESIDUAL)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, tokens, maps)``, zero on padded tokens."""
        found = tokens
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            found = F.relu(norm(convolution(found, mask), mask)) * mask
        return tokens + found


class LexicalBranch(nn.Module):
    """Token embeddings ``(batch, tokens, dim)`` to activations ``(batch, 100)`` in the context of the dialogue.

    Padded tokens are left out of everything, so that an utterance gives the same result in any batch (the authors'
    code lets their zeros in).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolution = Convolution(dim, TEXT_MAPS, 4)
        self.dropout = nn.Dropout(TEXT_DROPOUT)
        self.residual = ResidualBlock(TEXT_MAPS)
        self.context_dropout = nn.Dropout(CONTEXT_DROPOUT)
        self.context = Context("lstm", TEXT_MAPS, CONTEXT_UNITS)
        self.dense = nn.Linear(2 * CONTEXT_UNITS, ACTIVATIONS)

    def forward(self, tokens: Tensor, n_tokens: Tensor, turns: Turns) -> Tensor:
        """Return activations; ``tokens`` are zero after the last of each utterance."""
        found = self.dropout(F.relu(self.convolution(tokens, frame_mask(n_tokens, tokens.shape[1]))))
        pooled = max_pool(found, TEXT_POOL)
        lengths = pooled_lengths(n_tokens, TEXT_POOL)
        whole = self.residual(pooled, frame_mask(lengths, pooled.shape[1]).to(pooled.dtype))
        context = self.context(self.context_dropout(global_max(whole, lengths)), turns)
        return torch.tanh(self.dense(self.dropout(context)))


def outer_product_blocks(text: Tensor, audio: Tensor) -> Tensor:
    """Cut activations into neighbouring blocks and take outer products: divide and conquer.

    Parameters
    ----------
    text, audio
        ``(batch, activations)``.

    Returns
    -------
    Tensor
        ``(batch, activations / 2, 9)``: of each block, the products of ``[text block, 1]`` and ``[audio block, 1]``,
        row by row.
    """
    text, audio = (
        torch.cat([blocks, torch.ones_like(blocks[..., :1])], dim=2)
        for blocks in (values.reshape(len(values), -1, BLOCK) for values in (text, audio))
    )
    return (text.unsqueeze(3) * audio.unsqueeze(2)).flatten(2)


class Fusion(nn.Module):
    """Activations of both branches, ``(batch, 100)`` each, to logits ``(batch, classes)``: divide, conquer, combine."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        n_blocks, block_dim = ACTIVATIONS // BLOCK, (BLOCK + 1) ** 2
        self.combine = AbsLstm(block_dim)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n_blocks * 2 * UNITS, FUSION_HIDDEN),
            nn.ReLU(),
            nn.Dropout(OUTPUT_DROPOUT),
            nn.Linear(FUSION_HIDDEN, n_classes),
        )
        self.dropout = nn.Dropout(FUSION_DROPOUT)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        """Return logits."""
        combined = self.combine(outer_product_blocks(text, audio))
        logits: Tensor = self.dense(self.dropout(torch.tanh(combined)))
        return logits


class Hffn(Network):
    """HFFN over an acoustic model, trained end to end (the paper) or in stages (the authors' code).

    In stages, each branch first learns by itself, with an output layer of its own; the fusion then learns from the
    activations of both, which no longer change, and minimises a negative cosine.
    """

    def __init__(self, acoustic: AcousticModel, sizes: Sizes, options: Options) -> None:
        super().__init__(acoustic)
        self.acoustic_branch = AcousticBranch(options.model)
        self.lexical_branch = LexicalBranch(sizes.text_dim)
        self.fusion = Fusion(sizes.n_classes)
        self.frozen = False
        if options.hffn == "staged":
            self.stages = ("acoustic", "lexical", "fusion")
            self.acoustic_output = nn.Linear(ACTIVATIONS, sizes.n_classes)
            self.lexical_output = nn.Linear(ACTIVATIONS, sizes.n_classes)

    def train(self, mode: bool = True) -> "Hffn":
        """Switch dropout and batch statistics; branches that are frozen stay as in a test."""
        super().train(mode)
        if self.frozen:
            for module in (self.acoustic, self.acoustic_branch, self.lexical_branch):
                module.eval()
        return self

    def start_epoch(self, epoch: int, stage: str) -> None:
        """Set the strength of gradient reversals, and freeze the branches while the fusion learns."""
        super().start_epoch(epoch, stage)
        self.frozen = stage == "fusion"
        self.train(self.training)

    def parameters_of(self, stage: str) -> list[nn.Parameter]:
        """Return what a stage of training changes."""
        if stage == "all":
            return super().parameters_of(stage)
        modules: dict[str, tuple[nn.Module, ...]] = {
            "acoustic": (self.acoustic, self.acoustic_branch, self.acoustic_output),
            "lexical": (self.lexical_branch, self.lexical_output),
            "fusion": (self.fusion,),
        }
        wanted = {id(parameter) for module in modules[stage] for parameter in module.parameters()}
        return [parameter for parameter in super().parameters_of(stage) if id(parameter) in wanted]

    def _hear(self, code: Tensor, batch: Batch, turns: Turns) -> Tensor:
        activations: Tensor = self.acoustic_branch(code, batch.lengths, turns)
        return activations

    def _read(self, batch: Batch, turns: Turns) -> Tensor:
        assert batch.tokens is not None
        assert batch.n_tokens is not None
        activations: Tensor = self.lexical_branch(batch.tokens, batch.n_tokens, turns)
        return activations

    def settled(self, batch: Batch, stage: str) -> Tensor | None:
        """Return the activations of both branches, text first, ``(batch, 2, 100)``, while the fusion learns."""
        if stage != "fusion":
            return None
        turns = _turns(batch)
        return torch.stack([self._read(batch, turns), self._hear(self.acoustic.encode(batch), batch, turns)], dim=1)

    def classify(self, batch: Batch) -> Tensor:
        """Return logits ``(batch, classes)``, each in the context of its dialogue."""
        turns = _turns(batch)
        logits: Tensor = self.fusion(self._read(batch, turns), self._hear(self.acoustic.encode(batch), batch, turns))
        return logits

    def losses(self, batch: Batch, class_weights: Tensor, stage: str = "all") -> Outcome:
        """Return what a stage minimises, its terms, and logits."""
        terms: dict[str, Term] = {}
        if stage == "fusion":
            with torch.no_grad():
                settled = self.settled(batch, stage) if batch.settled is None else batch.settled
            assert settled is not None
            logits = self.fusion(*settled.unbind(1))
            return weighted_losses(negative_cosine(logits, batch.targets, class_weights), terms, logits)
        turns = _turns(batch)
        if stage == "lexical":
            logits = self.lexical_output(self._read(batch, turns))
        else:
            code, terms = self.acoustic.learn(batch)
            audio = self._hear(code, batch, turns)
            logits = (
                self.acoustic_output(audio) if stage == "acoustic" else self.fusion(self._read(batch, turns), audio)
            )
        return weighted_losses(cross_entropy(logits, batch.targets, class_weights), terms, logits)


def _turns(batch: Batch) -> Turns:
    assert batch.dialogues is not None
    return find_turns(batch.dialogues, None if batch.counts is None else batch.counts.dialogues)
