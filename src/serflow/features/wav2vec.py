"""wav2vec 1.0: what its context network gives, or its encoder, every 10 ms (Schneider et al., Interspeech 2019).

``output``
    ``context``: c; ``encoder``: z.
"""

from collections.abc import Mapping
from typing import Any

from serflow.backbones.base import Backbone
from serflow.features._network import NetworkOutput
from serflow.features.base import merge_parameters

DEFAULTS = {"output": "context"}


def build(parameters: Mapping[str, Any], backbone: Backbone) -> NetworkOutput:
    """Return the output of wav2vec that ``parameters`` name.

    Raises
    ------
    ConfigError
        If a parameter is unknown or of the wrong type, or the network has no such output.
    """
    return NetworkOutput("wav2vec", backbone, **merge_parameters("wav2vec", DEFAULTS, parameters))
