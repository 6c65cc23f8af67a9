"""What a network of the study reads and gives."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Sequences(NamedTuple):
    """Frames ``(batch, frames, dim)``, zero beyond the ``lengths`` ``(batch,)`` of each utterance."""

    frames: Tensor
    lengths: Tensor


class Partials(NamedTuple):
    """Mel partials of all utterances one after the other, ``(n, frames, bands)``, and whose each is, ``(n,)``."""

    mels: Tensor
    owners: Tensor


class Batch(NamedTuple):
    """Utterances of one language.

    Parameters
    ----------
    language
        By its name in the configuration.
    sequences
        Allosaurus, wav2vec and MFCC, those that the network reads.
    partials
        Of GE2E; None for a network that does not train it further.
    byol
        ``(batch, dim)``; None for a network that does not read it.
    targets
        ``(batch, classes)``, of the language's own classes.
    ge2e
        Embeddings of GE2E as released, ``(batch, dim)``; None where it is trained further, from ``partials``.
    """

    language: str
    sequences: Mapping[str, Sequences]
    partials: Partials | None
    byol: Tensor | None
    targets: Tensor
    ge2e: Tensor | None = None


class Said(NamedTuple):
    """What a network says of a batch.

    Parameters
    ----------
    logits
        ``(batch, classes)``: of the language's own classes, or of all languages' (Base).
    representation
        What the tower reads, ``(batch, dim)``; the contrastive loss is of it.
    gates
        Weight of each feature, ``(batch, features)``; None where there is no gate.
    """

    logits: Tensor
    representation: Tensor
    gates: Tensor | None = None
