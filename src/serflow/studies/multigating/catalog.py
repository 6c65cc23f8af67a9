"""How networks share what they learn: a module each in ``methods``, named as here."""

from types import ModuleType
from typing import Literal, NamedTuple

from serflow.plugins import load_plugin

_METHODS = "serflow.studies.multigating.methods"


JOINT = "joint"
"""What the job of a system that is trained on all languages at once has in place of a corpus."""
MAIN, NO_AUX = "main", "no_aux"
ALPHA, ONLY, SELECTOR = "alpha-", "only-", "selector-"


class Cell(NamedTuple):
    """Runs on a corpus, or a job on all (`JOINT`): of a system in one of its variants.

    ``variant`` is ``main`` as the section says, ``no_aux`` without the contrastive loss, ``alpha-0.1`` with another
    weight of it, ``only-mfcc`` with one feature, ``selector-byol`` with another feature as selector.
    """

    system: str
    corpus: str
    variant: str


class SystemInfo(NamedTuple):
    """Facts of a system that need no network.

    Parameters
    ----------
    title
        The row's name in the paper, or what a control is.
    trained
        On ``all`` languages at once, or on ``one``.
    network
        It is a network; else a plain classifier.
    joined
        It predicts the classes of all languages together; else each language has its own.
    """

    title: str
    trained: Literal["all", "one"] = "all"
    network: bool = True
    joined: bool = False


SYSTEMS = {
    "one_tower": SystemInfo("Base", joined=True),
    "sb": SystemInfo("SB"),
    "omoe": SystemInfo("OMoE"),
    "mmoe": SystemInfo("MMoE"),
    "ours": SystemInfo("Ours"),
    "sb_wide": SystemInfo("SB with the weights of Ours"),
    "single": SystemInfo("Single language", "one"),
    "svc": SystemInfo("Scaler and SVC", "one", network=False),
}


def load_method(system: str) -> ModuleType:
    """Return the module of a system.

    It has ``build(dims, classes, options, weights, device)``, or ``classify`` of a plain classifier.

    Raises
    ------
    ConfigError
        If there is no such system.
    """
    return load_plugin(_METHODS, system, "system", "the multigating study")
