"""Whether a pretrained network may have read a corpus, from where the two were taken.

``origins.csv`` says where corpora and the training sets of networks come from, with sources. What was recorded for a
corpus alone was read by no network that does not say so; what both took from one place may be in both.
"""

import csv
import functools
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from serflow.backbones.weights import STAND_IN, UNKNOWN, Weights

NO, POSSIBLE = "no", "possible"


class Origin(NamedTuple):
    """Where something was taken from: no place at all for what was recorded for it; ``what`` it is, and who says so."""

    places: tuple[str, ...]
    what: str
    source: str


@functools.cache
def origins() -> dict[tuple[str, str], Origin]:
    """Return the ledger: what is known of ``network`` and ``corpus``, by kind and name."""
    text = (files("serflow.audit") / "origins.csv").read_text(encoding="utf-8")
    return {
        (row["kind"], row["name"]): Origin(
            tuple(place for place in row["origins"].split("; ") if place), row["what"], row["source"]
        )
        for row in csv.DictReader(text.splitlines())
    }


def read_before(weights: Weights, layout: str, synthetic: bool) -> tuple[str, str]:
    """Return whether a network may have read a corpus (`NO`, `POSSIBLE` or ``unknown``), and why.

    Parameters
    ----------
    weights
        The record of its weights.
    layout
        Whose corpus it is.
    synthetic
        Whether it is a stand-in, which nobody has read.
    """
    if weights.synthetic or weights.release == STAND_IN:
        return NO, "the network is a stand-in"
    if synthetic:
        return NO, "the corpus is a stand-in"
    if weights.release == UNKNOWN:
        return UNKNOWN, "weights of no known release"
    network, corpus = (origins().get(key) for key in (("network", weights.backbone), ("corpus", layout)))
    if network is None or corpus is None:
        return UNKNOWN, f"trained on {weights.trained_on}; nothing more is known of " + (
            "the network" if network is None else "the corpus"
        )
    shared = [place for place in network.places if place in corpus.places]
    if shared:
        return POSSIBLE, f"trained on {network.what}, and both were taken from {' and '.join(shared)}"
    return NO, f"trained on {network.what}"


def told(networks: Sequence[Weights], layout: str, synthetic: bool) -> tuple[str, str]:
    """Return the worst of what `read_before` says of several networks, and all of it in words."""
    found = {weights.backbone: read_before(weights, layout, synthetic) for weights in networks}
    worst = max((verdict for verdict, _ in found.values()), key=(NO, UNKNOWN, POSSIBLE).index, default="")
    return worst, "; ".join(f"{name}: {why}" for name, (_, why) in found.items())
