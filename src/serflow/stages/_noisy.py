"""What stages share that read audio, clean or with noise mixed in as it is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serflow.audio.prepared import FloatArray, PreparedUtterance
from serflow.errors import ConfigError
from serflow.noise.mixing import ClipBank, planned, read_plan

CLEAN = "clean"


def waveform_reader(
    condition: str, corpus: str, plan: Path | None, clips: Path | None
) -> Callable[[PreparedUtterance], FloatArray]:
    """Return what gives an utterance's waveform in a condition.

    Parameters
    ----------
    condition
        ``clean`` or a noise profile.
    corpus
        Name of the corpus.
    plan, clips
        The noise plan of the corpus in that profile, and the clips that it names; None for ``clean``.

    Raises
    ------
    ConfigError
        If there is a profile without plan and clips, or clean audio with either.
    StoreError
        If a file is damaged, or the plan is for another corpus or profile.
    """
    if any((path is None) != (condition == CLEAN) for path in (plan, clips)):
        raise ConfigError(
            f"--condition {condition}: give --plan and --clips with a noise profile, and neither with {CLEAN}"
        )
    if plan is None or clips is None:
        return lambda item: item.waveform
    rows = read_plan(plan, expect={"corpus": corpus, "profile": condition})
    bank = ClipBank.read(clips)
    return lambda item: bank.mix(item.waveform, planned(rows, item.utterance, plan))


def stand_ins(described: Mapping[str, Mapping[str, Any]], network: Mapping[str, Any]) -> list[str]:
    """Return which of corpus, noise and weights are stand-ins.

    Parameters
    ----------
    described
        Metadata of ``audio`` and, where noise was mixed in, ``clips``.
    network
        What the metadata say of the network; empty where there is none.
    """
    found = {
        "corpus": described["audio"]["synthetic"],
        "noise": "clips" in described and described["clips"]["synthetic"],
        "weights": "weights" in network and network["weights"]["synthetic"],
    }
    return [what for what, synthetic in found.items() if synthetic]
