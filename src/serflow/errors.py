"""Errors that a person reads: each says what is wrong, where, and what to do next."""


class SerflowError(Exception):
    """Root of all errors that serflow raises on purpose; stages print it without a traceback."""


class ConfigError(SerflowError):
    """The configuration is wrong: names the file, the line and the key."""


class CorpusError(SerflowError):
    """A corpus is not laid out as its publisher ships it, or parts of it are missing."""


class AudioError(SerflowError):
    """An audio file cannot be used; the message is the reason given in ``rejected.csv``."""


class NoiseError(SerflowError):
    """ESC-50 or a noise plan cannot be used."""


class WeightsError(SerflowError):
    """Weights of a pretrained network are absent, damaged, or not in the format of the release."""


class StoreError(SerflowError):
    """An artefact is damaged, half-written, or not the one that was asked for."""


class TrainingError(SerflowError):
    """A fit cannot start or go on (no utterances of a class, a loss that is not finite)."""


class MissingDependencyError(SerflowError):
    """An optional package is not installed; the message says which group to install."""
