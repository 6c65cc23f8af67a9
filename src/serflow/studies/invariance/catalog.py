"""The systems of the study: one module each in ``methods``, named as in ``config.yaml``.

A system's module holds ``SYSTEM``, its static facts, and ``losses(network, batch, options)``, what it minimises; a
baseline without network has ``classify`` instead. Systems are loaded by name and
imported by no other module: a change of one leaves the others' fingerprints alone.
"""

import functools
from types import ModuleType
from typing import NamedTuple

from serflow.plugins import load_plugin, plugin_names

COUNTED = "speakers-"
"""What the variants of cells begin with that train on so many speakers, for the figure of their numbers."""
_METHODS = "serflow.studies.invariance.methods"

_DATA = ("cmvn", "style", "emotions", "speakers", "folds_used")


class Cell(NamedTuple):
    """A training job: one system on one corpus; ``variant`` is ``main`` where no option is other than the section's."""

    system: str
    corpus: str
    variant: str


class SystemInfo(NamedTuple):
    """Facts of a system that need no network.

    Parameters
    ----------
    title
        The row's name in Tables 2 and 3.
    group
        Its own group of options; None where it has none.
    names_speakers
        It has a speaker classifier.
    network
        It is a network; else a plain classifier.
    """

    title: str
    group: str | None = None
    names_speakers: bool = True
    network: bool = True

    def options(self) -> list[str]:
        """Return the options that it reads: a change of another leaves its runs alone."""
        own = [] if self.group is None else [self.group]
        return [*_DATA, *(["model", "training", *own] if self.network else [])]


def system_names() -> list[str]:
    """Return the names of the systems, sorted."""
    return plugin_names(_METHODS)


def load_system(name: str) -> ModuleType:
    """Return the module of a system.

    Raises
    ------
    ConfigError
        If there is no such system.
    """
    return load_plugin(_METHODS, name, "system", "the invariance study")


@functools.cache
def system_info(name: str) -> SystemInfo:
    """Return the facts of a system, without importing torch.

    Raises
    ------
    ConfigError
        If there is no such system.
    """
    info = load_system(name).SYSTEM
    assert isinstance(info, SystemInfo)
    return info
