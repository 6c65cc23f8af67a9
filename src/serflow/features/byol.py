"""Audio embedding of BYOL-S or BYOL-A.

``output``
    ``vector``: mean plus maximum over time of the frames. ``frames``: a row every 80 ms.
``standardise``
    ``utterance``: each log-mel picture by its own mean and deviation. ``corpus``: all by the averages of those of the
    corpus's utterances, as SERAB does (with those of its training part; a store is of no split).

As many columns as the weights have (512, 1024 or 2048). A waveform shorter than one frame (70 ms) is continued by
zeros; like in SERAB, others are taken at their length, though the network was trained on cuts of 0.95 s.
"""

from collections.abc import Mapping
from typing import Any

from serflow.backbones.base import Backbone
from serflow.errors import ConfigError
from serflow.features._network import NetworkOutput
from serflow.features.base import merge_parameters

DEFAULTS = {"output": "vector", "standardise": "utterance"}
STANDARDISE = ("utterance", "corpus")


def build(parameters: Mapping[str, Any], backbone: Backbone) -> NetworkOutput:
    """Return the output of BYOL that ``parameters`` name.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or no choice, the network has no such output, or it does not
        standardise as it should.
    """
    merged = merge_parameters("byol", DEFAULTS, parameters)
    by, done = merged.pop("standardise"), backbone.description["normalisation"]
    if by not in STANDARDISE:
        raise ConfigError(f"feature byol: standardise is {by!r}; known: {', '.join(STANDARDISE)}")
    if by != done:
        raise ConfigError(f"feature byol: standardise is {by!r}, and the network standardises by {done}")
    return NetworkOutput("byol", backbone, **merged)
