"""What a pretrained network is to the rest, and how one is found and loaded by name.

Most take waveforms and give frames or a vector (`Backbone`); a recogniser takes waveforms and gives words
(`Recogniser`); a text encoder takes words and gives a row a token (`TextEncoder`).

Every module of this package but ``base``, ``weights`` and those whose names start with ``_`` is a backbone, and
its file name is its name in ``config.yaml``. It has

``RELEASES``
    the published weights that its loader reads, the default first (`Release`; facts only, no import of torch);
``write_stand_in(folder, seed)``
    writes a small network with random weights, in the released file's own format, and returns its path;
``load(path, device, precision)``
    reads such a file or folder, released or stand-in alike, and returns a `Backbone`, or what ``KIND`` says;
``network(path)``
    reads the same, by the same reader, as a module of torch in evaluation mode; its ``forward`` takes tensors and
    gives tensors, so that a study can train it further;
``WEIGHTS``
    ``folder`` or ``file or folder``, in modules whose weights are not one ``file``;
``NO_NETWORK``
    in modules without ``network``: why there is none;
``KIND``
    ``recogniser`` or ``text``, in modules that give no `Backbone`;
``STAND_IN_TRAINED_ON``
    what the stand-in was trained on, where that is not nothing.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from serflow.errors import ConfigError
from serflow.plugins import plugin_names

if TYPE_CHECKING:
    from serflow.backbones._pretrained import PretrainedNetwork

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Release:
    """Published weights of a backbone.

    ``digest`` is ``sha256:...`` of the file at ``address``, or ``git:...``, the object id that git gives the file
    (SHA-1 of a header with its size, and the content); None where the publisher gives none, and then the file is
    not downloaded but has to be given by path. ``member`` is the folder or file to use inside an archive.
    ``package`` names an installed package and a file in it with the same bytes. ``hub`` is a repository of the
    Hugging Face hub and its revision, instead of an address. ``size`` is in bytes, None if unknown.
    ``redistributable`` says whether the licence lets people pass the file on.
    """

    name: str
    address: str
    digest: str | None
    size: int | None
    licence: str
    trained_on: str
    member: str | None = None
    package: tuple[str, str] | None = None
    hub: tuple[str, str] | None = None
    redistributable: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """One of the things that a backbone gives: ``dim`` columns, a row every ``hop_s`` (s), or one row (a vector).

    ``hop_s`` is None exactly where ``kind`` is ``vector``.
    """

    kind: Literal["frames", "vector"]
    dim: int
    hop_s: float | None
    units: str


@runtime_checkable
class Backbone(Protocol):
    """A pretrained network with its weights loaded, frozen, in evaluation mode.

    ``sample_rate`` (Hz) is that of the waveforms it takes, ``outputs`` what it gives, by name, ``description``
    its architecture as read from the weights (JSON-serialisable: layers, widths), for a store's metadata.
    """

    sample_rate: int
    outputs: Mapping[str, Output]
    description: Mapping[str, Any]

    def __call__(self, waveforms: Sequence[FloatArray], output: str) -> list[FloatArray]:
        """Run the network on several utterances; each result is that of the utterance alone.

        Parameters
        ----------
        waveforms
            Samples ``(n_samples,)`` each, float32 in -1..1, at ``sample_rate``. What is shorter than the network's
            field of view is continued by zeros.
        output
            A key of ``outputs``.

        Returns
        -------
        ``(n_frames, dim)`` float32 each, ``(1, dim)`` for a vector; always finite.

        Raises
        ------
        AudioError
            If a waveform is not one channel of float32, or is empty.
        """
        ...


@runtime_checkable
class StandardisedBackbone(Backbone, Protocol):
    """A backbone whose input is standardised: that of each utterance by itself, or by what it is told."""

    def measure(self, waveform: FloatArray) -> tuple[float, float]:
        """Return mean and standard deviation of the input that an utterance gives."""
        ...

    def standardised_by(self, mean: float, deviation: float) -> Backbone:
        """Return the same network, which standardises the input of all utterances by these."""
        ...


class Transcript(NamedTuple):
    """Words in small letters with single blanks between them, none at all for speech that was not recognised.

    ``confidence`` is the recogniser's own measure, in the units that its ``description`` names.
    """

    text: str
    confidence: float


@runtime_checkable
class Recogniser(Protocol):
    """A speech recogniser with its weights loaded.

    ``sample_rate`` (Hz) is that of the waveforms it takes. ``description`` (JSON-serialisable) holds at least
    ``confidence``, the units of a transcript's confidence in words.
    """

    sample_rate: int
    description: Mapping[str, Any]

    def transcribe(self, waveforms: Sequence[FloatArray]) -> list[Transcript]:
        """Recognise several utterances; each result is that of the utterance alone.

        Parameters
        ----------
        waveforms
            Samples ``(n_samples,)`` each, float32 in -1..1, at ``sample_rate``; of any length above 0.

        Raises
        ------
        AudioError
            If a waveform is not one channel of finite float32, or is empty.
        WeightsError
            If the network itself failed.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """A network from text to a row of ``dim`` values a token, ``max_tokens`` at most, special tokens included."""

    dim: int
    max_tokens: int
    description: Mapping[str, Any]

    def encode(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(n_tokens, dim)`` float32 for each text; an empty text has the special tokens alone."""
        ...


KINDS: dict[str, type[Any]] = {"audio": Backbone, "recogniser": Recogniser, "text": TextEncoder}


def backbone_names(*kinds: str) -> list[str]:
    """Return the names of the networks that this package loads: all, or those of some ``KINDS``."""
    names = [name for name in plugin_names("serflow.backbones") if name != "weights"]
    return [name for name in names if not kinds or backbone_kind(name) in kinds]


def backbone_kind(name: str) -> str:
    """Return which of ``KINDS`` a network is."""
    return str(getattr(importlib.import_module(f"serflow.backbones.{name}"), "KIND", "audio"))


def backbone_module(name: str) -> ModuleType:
    """Return the module of a backbone; importing it does not import torch.

    Raises
    ------
    ConfigError
        If there is no such backbone.
    """
    if name not in backbone_names():
        raise ConfigError(f"no backbone {name!r}; known: {', '.join(backbone_names())}")
    return importlib.import_module(f"serflow.backbones.{name}")


def weights_form(name: str) -> str:
    """Return what the weights of a backbone are: ``file``, ``folder`` or ``file or folder``."""
    return str(getattr(backbone_module(name), "WEIGHTS", "file"))


def releases(name: str) -> dict[str, Release]:
    """Return the published weights of a backbone by name, the default first."""
    return {release.name: release for release in backbone_module(name).RELEASES}


def load_backbone(name: str, path: Path, device: str = "cpu", precision: str = "fp32") -> Backbone:
    """Load the weights of a network that takes waveforms and gives frames or a vector.

    Parameters
    ----------
    name
        Name of the backbone.
    path
        File or folder of weights, in the format of the release.
    device
        ``cpu``, ``cuda`` or ``auto``.
    precision
        ``fp32``, or ``bf16`` for bfloat16 autocast.

    Raises
    ------
    ConfigError
        If there is no such backbone, it is of another kind, there is no such device, or it cannot compute in that
        precision.
    WeightsError
        If the file is not what the loader reads.
    """
    loaded = _load(name, "audio", path, device, precision)
    assert isinstance(loaded, Backbone)
    return loaded


def load_recogniser(name: str, path: Path, device: str = "cpu", precision: str = "fp32", **options: Any) -> Recogniser:
    """Load a recogniser; ``options`` are its own, else as `load_backbone`."""
    loaded = _load(name, "recogniser", path, device, precision, **options)
    assert isinstance(loaded, Recogniser)
    return loaded


def load_text_encoder(name: str, path: Path, device: str = "cpu", precision: str = "fp32") -> TextEncoder:
    """Load a text encoder; see `load_backbone`."""
    loaded = _load(name, "text", path, device, precision)
    assert isinstance(loaded, TextEncoder)
    return loaded


def load_network(name: str, path: Path, device: str = "cpu", fine_tune: str = "all") -> "PretrainedNetwork":
    """Load a network as a module in the graph, from the weights that `load_backbone` and its sisters take.

    Nothing is drawn from torch's random numbers: a tensor that a release lacks, since training alone has a use for it
    (the embedding of masked frames of wav2vec 2.0), is the same in every process.

    Parameters
    ----------
    name
        Name of the backbone, of any kind.
    path
        File or folder of weights, as `serflow.backbones.weights.read_weights` has checked it.
    device
        ``cpu``, ``cuda`` or ``auto``.
    fine_tune
        What is trained: ``all``, ``none``, or a part by its name (``PARTS`` of the network).

    Returns
    -------
    The network in training mode, as torch's own constructors leave a module (and as cuDNN wants recurrent layers that
    gradients go through); what is frozen is in evaluation mode.

    Raises
    ------
    ConfigError
        If there is no such backbone, part or device, or the backbone cannot be trained.
    WeightsError
        If the file is not what the loader reads.
    """
    module = backbone_module(name)
    if hasattr(module, "NO_NETWORK"):
        known = ", ".join(other for other in backbone_names() if not hasattr(backbone_module(other), "NO_NETWORK"))
        raise ConfigError(f"backbone {name!r} cannot be trained further: {module.NO_NETWORK}; those that can: {known}")
    import torch

    from serflow.devices import resolve_device

    resolved = resolve_device(device, f"backbones.{name}.device")
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which seeds GPUs as well
        torch.default_generator.manual_seed(0)
        network: PretrainedNetwork = module.network(path)
    return network.to(resolved).fine_tune(fine_tune).train()


def _load(name: str, kind: str, path: Path, device: str, precision: str, **options: Any) -> Any:
    module = backbone_module(name)
    if backbone_kind(name) != kind:
        known = ", ".join(backbone_names(kind))
        raise ConfigError(f"backbone {name!r} is of the kind {backbone_kind(name)}, not {kind}; of that kind: {known}")
    return module.load(path, device, precision, **options)
