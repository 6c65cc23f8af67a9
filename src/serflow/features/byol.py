"""Audio embedding of BYOL-S or BYOL-A.

``output``
    ``vector``: mean plus maximum over time of the frames. ``frames``: a row every 80 ms.

As many columns as the weights have (512, 1024 or 2048). A waveform shorter than one frame (70 ms) is continued by
zeros; like in SERAB, others are taken at their length, though the network was trained on cuts of 0.95 s.
"""

from collections.abc import Mapping
from typing import Any

from serflow.backbones.base import Backbone
from serflow.features._network import NetworkOutput
from serflow.features.base import merge_parameters

DEFAULTS = {"output": "vector"}


def build(parameters: Mapping[str, Any], backbone: Backbone) -> NetworkOutput:
    """Return the output of BYOL that ``parameters`` name.

    Raises
    ------
    ConfigError
        If a parameter is unknown or of the wrong type, or the network has no such output.
    """
    return NetworkOutput("byol", backbone, **merge_parameters("byol", DEFAULTS, parameters))
