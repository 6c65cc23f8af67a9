"""Layers of wav2vec 2.0 every 20 ms (Baevski et al., NeurIPS 2020).

``output``
    ``hidden``: one layer; ``all``: all layers side by side, the input of the transformer first.
``layer``
    Which one: 0 is the input of the transformer, -1 the last layer, -2 the one before.
"""

from collections.abc import Mapping
from typing import Any

from serflow.backbones.base import Backbone
from serflow.errors import ConfigError
from serflow.features._network import NetworkOutput
from serflow.features.base import merge_parameters

DEFAULTS = {"output": "hidden", "layer": -1}


def build(parameters: Mapping[str, Any], backbone: Backbone) -> NetworkOutput:
    """Return the layers of wav2vec 2.0 that ``parameters`` name.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type, or names a layer that the network has not.
    """
    merged = merge_parameters("wav2vec2", DEFAULTS, parameters)
    output, layer = merged["output"], merged["layer"]
    if output not in ("hidden", "all"):
        raise ConfigError(f"feature wav2vec2: output is {output!r}; known: hidden, all")
    n_outputs = sum(name.startswith("layer_") for name in backbone.outputs)
    if not -n_outputs <= layer < n_outputs:
        raise ConfigError(
            f"feature wav2vec2: layer is {layer}; the network has 0 to {n_outputs - 1}, or -1 for the last"
        )
    return NetworkOutput("wav2vec2", backbone, "all" if output == "all" else f"layer_{layer % n_outputs}")
