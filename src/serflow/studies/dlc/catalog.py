"""The methods of the study: one module each in ``methods``, named as in ``config.yaml``.

A method module holds ``METHOD``, its static facts, and ``build(sizes, options)``, which makes its network; that of a
plain classifier ``classify(inputs, classes, train)`` instead. It imports what needs torch inside these, so the
Snakefile may ask for facts. Methods are loaded by name and imported by no other module: a change of one leaves the
others' fingerprints alone.
"""

import functools
from types import ModuleType
from typing import NamedTuple

from serflow.plugins import load_plugin, plugin_names

_METHODS = "serflow.studies.dlc.methods"

# the options that methods read, as `MethodInfo.options` names them
_TRAINING = (
    "training.optimizer", "training.learning_rate", "training.batch_size", "training.max_epochs", "training.patience",
    "training.class_weights", "training.device", "training.precision",
    "training.graphs",
)  # fmt: skip
_ENCODER = (
    "model.maps", "model.kernel", "model.dilations", "model.pool", "model.readout", "model.instance_norm",
)  # fmt: skip
_CLASSIFIER = ("model.hidden", "model.dropout")
NOISE_CLASSIFIER = (*_TRAINING, *_ENCODER, *_CLASSIFIER)
SINGLE = (*NOISE_CLASSIFIER, "training.reconstruction_weight", "iemocap_labels")
DSN = (*NOISE_CLASSIFIER, "iemocap_labels", "dsn", "adversary.ramp_epochs")
FUSED = "training.fused"
"""Read by a method whose fits can be trained as one network: see `serflow.studies.dlc.fused`."""
HFFN = (*_TRAINING, *_ENCODER, "training.reconstruction_weight", "iemocap_labels", "hffn", "staged")


class Cell(NamedTuple):
    """A training job: one method on one corpus in one noise profile, with all runs and folds."""

    experiment: str
    method: str
    corpus: str
    profile: str


class MethodInfo(NamedTuple):
    """Facts of a method that need no network.

    Parameters
    ----------
    title
        The row's name in Table I.
    experiments
        Those that the method is part of.
    modality
        ``uni`` (acoustic) or ``multi`` (acoustic and lexical).
    routes
        It has an encoder for each noise condition: at test time it routes by the predictions of ``noise_classifier``.
    batches
        Of training: ``mixed``, ``homogeneous`` (one noise condition each), ``balanced`` (evenly of all conditions) or
        ``dialogues`` (whole ones, in order).
    predicts
        ``emotion`` or ``condition``.
    shuffles_labels
        Labels of training and validation are dealt anew at random.
    network
        False: it has a plain ``classify`` instead of ``build``.
    hears_clean
        It is trained and tested on the clean audio, in the place of the noisy.
    options
        The options that it reads, single (``model.maps``) or by the group (``dsn``); None: all. A change of another
        leaves its runs alone.
    """

    title: str
    experiments: tuple[str, ...] = ("exp1", "exp2")
    modality: str = "uni"
    routes: bool = False
    batches: str = "mixed"
    predicts: str = "emotion"
    shuffles_labels: bool = False
    network: bool = True
    hears_clean: bool = False
    options: tuple[str, ...] | None = None

    @property
    def fuses(self) -> bool:
        """Whether its fits can be trained as one network."""
        return self.options is not None and FUSED in self.options


def method_names() -> list[str]:
    """Return the names of the methods, sorted."""
    return plugin_names(_METHODS)


def load_method(name: str) -> ModuleType:
    """Return the module of a method.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    return load_plugin(_METHODS, name, "method", "the dlc study")


@functools.cache
def method_info(name: str) -> MethodInfo:
    """Return the facts of a method, without importing torch.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    info = load_method(name).METHOD
    assert isinstance(info, MethodInfo)
    return info
