"""The rows of the study: what each reads, and which network it is."""

from types import ModuleType
from typing import Literal, NamedTuple

from serflow.plugins import load_plugin

_METHODS = "serflow.studies.temporal.methods"

ENGINEERED = ("pitch_pulse", "spectrogram", "modulation", "pulse_spectrogram", "pulse_modulation",
              "spectrogram_modulation", "all_three")  # fmt: skip
PLAIN, WARPED = "plain", "warp"


class Cell(NamedTuple):
    """A training job: a system on a corpus, in one of its variants.

    ``variant`` is ``plain`` or ``warp`` for engineered features; for wav2vec the part that is fine-tuned and the number
    of segment classifiers, ``context-2``, or ``plain`` without both.
    """

    system: str
    corpus: str
    variant: str


class Stream(NamedTuple):
    """A branch of the first layer: a convolution or STRFs, on the spectrogram of the waveform or of its pulses."""

    layer: Literal["conv", "strf"]
    of: Literal["spectrogram", "pulses"]


class SystemInfo(NamedTuple):
    """Facts of a system that need no network.

    Parameters
    ----------
    title
        The row's name in Table 1.
    network
        ``strfnet``, ``segment_net``, or ``svc`` for a plain classifier.
    reads
        ``log_mel``, or ``wav2vec`` for the context features of the network in the graph.
    streams
        Branches of the first layer of a STRFNet.
    """

    title: str
    network: Literal["strfnet", "segment_net", "svc"]
    reads: Literal["log_mel", "wav2vec"]
    streams: tuple[Stream, ...] = ()

    def options(self) -> list[str]:
        """Return the options that it reads: a change of another leaves its runs alone."""
        data = ["emotions", "folds_used"]
        if self.network == "svc":
            return [*data, "framing"]
        framing = ["framing"] if self.reads == "log_mel" or self.network == "strfnet" else []
        warped = ["warped"] if self.reads == "log_mel" else []
        return [*data, "test", "augment", "training", self.network, *framing, *warped]

    def reads_pulses(self) -> bool:
        """Tell whether it needs the pitch pulses."""
        return any(stream.of == "pulses" for stream in self.streams)


_SPECTROGRAM, _PULSES = Stream("conv", "spectrogram"), Stream("conv", "pulses")
_MODULATION, _PULSE_MODULATION = Stream("strf", "spectrogram"), Stream("strf", "pulses")


def _engineered(title: str, *streams: Stream) -> SystemInfo:
    return SystemInfo(title, "strfnet", "log_mel", streams)


SYSTEMS = {
    "pitch_pulse": _engineered("Pitch pulse", _PULSES),
    "spectrogram": _engineered("Spectrogram", _SPECTROGRAM),
    "modulation": _engineered("Modulation", _MODULATION),
    "pulse_spectrogram": _engineered("P. p. + Spec.", _PULSES, _SPECTROGRAM),
    "pulse_modulation": _engineered("P. p. + Mod.", _PULSES, _PULSE_MODULATION),
    "spectrogram_modulation": _engineered("Spec. + Mod.", _SPECTROGRAM, _MODULATION),
    "all_three": _engineered("All three", _PULSES, _SPECTROGRAM, _MODULATION),
    "wav2vec": SystemInfo("Wav2vec", "segment_net", "wav2vec"),
    "segment_net_on_mel": SystemInfo("Wav2vec's classifier on log-mel", "segment_net", "log_mel"),
    "strfnet_on_wav2vec": SystemInfo("STRFNet on wav2vec", "strfnet", "wav2vec", (_SPECTROGRAM,)),
    "svc": SystemInfo("SVC on mean and deviation of log-mel", "svc", "log_mel"),
}
"""By the names that ``config.yaml`` gives them, in the order of Table 1; what the paper does not have comes last."""


def load_network(name: str) -> ModuleType:
    """Return the module of a network, which is loaded by name: a change of one leaves the others' fingerprints alone.

    Raises
    ------
    ConfigError
        If there is no such network.
    """
    return load_plugin(_METHODS, name, "network", "the temporal study")
