"""Speaker embedding of GE2E, or the mel partials that it is made from.

``output``
    ``embedding``: a vector of 256, the mean over partials of 1.6 s, of unit length. ``partials``: a row of
    160 x 40 mel powers (frame after frame) a partial, every 0.77 s of the speech that is left when silences are
    cut, for a study that trains the network further (`serflow.backbones._ge2e_network.GE2E`).

A waveform shorter than a partial is continued by zeros. One in which no speech is found is taken whole, and one
that activates no unit of the last layer has the embedding 0.
"""

from collections.abc import Mapping
from typing import Any

from serflow.backbones.base import Backbone
from serflow.features._network import NetworkOutput
from serflow.features.base import merge_parameters

DEFAULTS = {"output": "embedding"}


def build(parameters: Mapping[str, Any], backbone: Backbone) -> NetworkOutput:
    """Return the output of GE2E that ``parameters`` name.

    Raises
    ------
    ConfigError
        If a parameter is unknown or of the wrong type, or the network has no such output.
    """
    return NetworkOutput("ge2e", backbone, **merge_parameters("ge2e", DEFAULTS, parameters))
