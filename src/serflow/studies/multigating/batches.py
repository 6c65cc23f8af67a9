"""Batches of one language each, shuffled over all languages (section 4.3)."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from serflow.protocols.folds import IntArray
from serflow.training.batching import bucketed_batches
from serflow.training.seeds import numpy_generator

Name = str | int


def deal(
    lengths: Mapping[str, IntArray], batch_size: int, temperature: float, *names: Name
) -> list[tuple[str, IntArray]]:
    """Return the batches of an epoch: language, and places among its training utterances.

    Parameters
    ----------
    lengths
        Of the training utterances of each language.
    batch_size
        Utterances of a batch, at most.
    temperature
        At 1 an epoch takes each utterance once. Above, it has as many batches, and a language's share of them goes
        with its number of utterances to the power of 1 / temperature, one batch at least: small languages come several
        times, large ones in part.
    names
        Of the fit and the epoch; the batches depend on nothing else.
    """
    generator = numpy_generator("batches", *names)
    n_batches = {language: -(-len(of_language) // batch_size) for language, of_language in lengths.items()}
    shares = {language: len(of_language) ** (1 / temperature) for language, of_language in lengths.items()}
    batches = []
    for language, of_language in lengths.items():
        n = n_batches[language]
        if temperature > 1:
            n = max(1, round(sum(n_batches.values()) * shares[language] / math.fsum(shares.values())))
        endless = _endless(of_language, batch_size, generator)
        batches += [(language, next(endless)) for _ in range(n)]
    return [batches[place] for place in generator.permutation(len(batches))]


def _endless(lengths: IntArray, batch_size: int, generator: np.random.Generator) -> Iterator[IntArray]:
    """Yield batches of a language, dealt anew when all have been taken.

    They are in no order: what the contrastive loss takes of a batch are the first of each emotion, not the shortest.
    """
    while True:
        for batch in bucketed_batches(lengths, batch_size, generator):
            yield generator.permutation(batch)
