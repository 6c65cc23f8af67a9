"""What a feature module gives: frames or a vector of a waveform, and what they are.

Every module of this package but this one (and those whose names start with ``_``) is a feature: it has a
``build(parameters)`` that returns a `Feature`, and its file name is its name in ``config.yaml``. A feature that
needs a pretrained network has a ``build(parameters, backbone)`` instead.
"""

import difflib
import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from serflow.backbones.base import Backbone
from serflow.errors import ConfigError
from serflow.plugins import plugin_names

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """What a feature is.

    ``sample_rate`` (Hz) is that of the waveform it takes, ``dim`` the number of columns it gives. ``hop_s`` (s)
    is the time from one frame to the next; a feature of kind ``vector`` gives one row and has none. ``units``
    says what a value measures.
    """

    name: str
    sample_rate: int
    dim: int
    hop_s: float | None
    kind: Literal["frames", "vector"]
    units: str


@runtime_checkable
class Feature(Protocol):
    """A feature with its parameters set."""

    info: FeatureInfo

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Compute the feature of one utterance.

        Parameters
        ----------
        waveform
            Samples ``(n_samples,)``, float32 in -1..1, at ``info.sample_rate``.

        Returns
        -------
        Frames ``(n_frames, dim)`` float32; ``(1, dim)`` for kind ``vector``.

        Raises
        ------
        AudioError
            If the waveform is not one channel of float32, or is empty, or has no such feature; the utterance
            is then listed as rejected, with the message as its reason.
        """
        ...


@runtime_checkable
class BatchFeature(Feature, Protocol):
    """A feature that is faster over several utterances at once; each result is that of the utterance alone."""

    def batch(self, waveforms: Sequence[FloatArray]) -> list[FloatArray]:
        """Compute the feature of several utterances; see `Feature`."""
        ...


def feature_names() -> list[str]:
    """Return the names of the features that this package computes."""
    return plugin_names("serflow.features")


def load_feature(name: str, parameters: Mapping[str, Any], backbone: Backbone | None = None) -> Feature:
    """Return the feature of that name with ``parameters`` in place of its defaults.

    Parameters
    ----------
    name
        Name of the feature's module.
    parameters
        What departs from the module's defaults.
    backbone
        The pretrained network, for a feature that needs one.

    Raises
    ------
    ConfigError
        If there is no such feature, or it has no such parameter.
    """
    if name not in feature_names():
        raise ConfigError(f"no feature {name!r}; known: {', '.join(feature_names())}")
    build = importlib.import_module(f"serflow.features.{name}").build
    takes_backbone = "backbone" in inspect.signature(build).parameters
    if takes_backbone and backbone is None:
        raise ConfigError(f"feature {name} needs a pretrained network; set features.{name}.backbone")
    if backbone is not None and not takes_backbone:
        raise ConfigError(f"feature {name} takes no pretrained network; remove features.{name}.backbone")
    feature = build(parameters, backbone) if takes_backbone else build(parameters)
    assert isinstance(feature, Feature)
    return feature


def merge_parameters(feature: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``defaults`` with the ``given`` values; whole numbers are taken where a float is the default.

    Raises
    ------
    ConfigError
        If a name is not among the defaults, or a value is not of its default's type.
    """
    merged = dict(defaults)
    for name, value in given.items():
        if name not in defaults:
            near = difflib.get_close_matches(name, defaults, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"feature {feature}: no parameter {name!r}; {hint}Known: {', '.join(defaults)}")
        wanted = type(defaults[name])
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ConfigError(
                f"feature {feature}: {name} is {value!r} where a value such as {defaults[name]!r} is needed"
            )
        merged[name] = value
    return merged
