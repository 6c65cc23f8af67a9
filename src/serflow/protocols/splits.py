"""Splits of a corpus into training, validation and test: by a named protocol, which may hold the number of its draw.

``dialogue-0`` deals whole dialogues, ``speaker-3`` whole speakers, 70/10/20 (DLC, section IV); the number is that of
the draw. Each protocol has a file of its own, so that no study's draws are in another's.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from serflow.errors import CorpusError

ROLES = ("train", "val", "test")
UNITS = ("dialogue", "speaker")
TRAIN_END = 0.7
VAL_END = 0.8
PROTOCOL_PATTERN = rf"({'|'.join(UNITS)})-[0-9]+"
"""Regular expression of the protocols' names, for the wildcard of their rule."""


class Division(NamedTuple):
    """A fold by name, and the role of each utterance of the corpus; None where it has none in this fold."""

    fold: str
    roles: list[str | None]


def draw_name(unit: str, draw: int) -> str:
    """Return the protocol's name: ``draw_name("dialogue", 0)`` is ``dialogue-0``."""
    return f"{unit}-{draw}"


def parse_protocol(protocol: str) -> tuple[str, int]:
    """Return what a protocol keeps together and the number of its draw.

    Raises
    ------
    ValueError
        If there is no such protocol.
    """
    if not re.fullmatch(PROTOCOL_PATTERN, protocol):
        raise ValueError(f"no split protocol {protocol!r}; known: {', '.join(f'{unit}-0' for unit in UNITS)}, ...")
    unit, _, draw = protocol.rpartition("-")
    return unit, int(draw)


def divide(protocol: str, utterances: Sequence[Mapping[str, str | None]]) -> list[Division]:
    """Divide a corpus.

    Parameters
    ----------
    protocol
        See the module.
    utterances
        ``utterance``, ``dialogue`` and ``speaker`` of each, in corpus order.

    Raises
    ------
    CorpusError
        If there are fewer than three units.
    ValueError
        If there is no such protocol.
    """
    unit, draw = parse_protocol(protocol)
    units = [split_unit(unit, str(row["utterance"]), row["dialogue"], str(row["speaker"])) for row in utterances]
    role = split_units(units, draw)
    return [Division(protocol, [role[unit] for unit in units])]


def _order(seed: int, unit: str) -> str:
    return hashlib.sha256(f"{seed}/{unit}".encode()).hexdigest()


def split_units(units: Iterable[str], seed: int) -> dict[str, str]:
    """Give each unit a role.

    Units are ordered by the SHA-256 of ``"{seed}/{unit}"`` and cut at 70 and 80 percent (rounded half to
    even), so a unit's place does not depend on the order of a table. Each role gets at least one unit.

    Parameters
    ----------
    units
        Names of dialogues, speakers or utterances; repeated names count once.
    seed
        Number of the draw.

    Raises
    ------
    CorpusError
        If there are fewer than three units.
    """
    ordered = sorted(set(units), key=lambda unit: (_order(seed, unit), unit))
    n = len(ordered)
    if n < len(ROLES):
        raise CorpusError(
            f"{n} unit(s) ({', '.join(ordered)}) cannot be split into {', '.join(ROLES)}: "
            "at least 3 dialogues or speakers are needed; add data or take the other split protocol"
        )
    train_end = min(max(round(TRAIN_END * n), 1), n - 2)
    val_end = min(max(round(VAL_END * n), train_end + 1), n - 1)
    return {unit: ROLES[(place >= train_end) + (place >= val_end)] for place, unit in enumerate(ordered)}


def split_unit(unit: str, utterance: str, dialogue: str | None, speaker: str) -> str:
    """Return what is kept together: the speaker, or the dialogue (the utterance where there is no dialogue).

    Raises
    ------
    ValueError
        If ``unit`` is neither.
    """
    if unit == "speaker":
        return speaker
    if unit == "dialogue":
        return utterance if dialogue is None else dialogue
    raise ValueError(f"no unit {unit!r} of splits; known: {', '.join(UNITS)}")
