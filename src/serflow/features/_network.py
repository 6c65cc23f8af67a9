"""A feature that is an output of a pretrained network, as it comes."""

from collections.abc import Sequence

from serflow.backbones.base import Backbone
from serflow.errors import ConfigError
from serflow.features.base import FeatureInfo, FloatArray


class NetworkOutput:
    """One output of a backbone as a feature; see `BatchFeature`.

    Parameters
    ----------
    name
        Name of the feature.
    backbone
        The pretrained network.
    output
        Which of its outputs.

    Raises
    ------
    ConfigError
        If the network has no such output.
    """

    def __init__(self, name: str, backbone: Backbone, output: str) -> None:
        if output not in backbone.outputs:
            raise ConfigError(f"feature {name}: no output {output!r}; known: {', '.join(backbone.outputs)}")
        made = backbone.outputs[output]
        self.info = FeatureInfo(name, backbone.sample_rate, made.dim, made.hop_s, made.kind, made.units)
        self._backbone = backbone
        self._output = output

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return the output ``(n_frames, dim)`` for one utterance; see `Feature`."""
        return self._backbone([waveform], self._output)[0]

    def batch(self, waveforms: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the output for each of several utterances; see `BatchFeature`."""
        return self._backbone(waveforms, self._output)
