"""Train, validation and test sets: whole dialogues or whole speakers, 70/10/20 (DLC, section IV)."""

import hashlib
from collections.abc import Iterable, Sequence

from serflow.errors import CorpusError

ROLES = ("train", "val", "test")
PROTOCOLS = ("dialogue", "speaker")
TRAIN_END = 0.7
VAL_END = 0.8


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
        Number of the split.

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


def split_unit(protocol: str, utterance: str, dialogue: str | None, speaker: str) -> str:
    """Return what is kept together: the speaker, or the dialogue (the utterance where there is no dialogue).

    Raises
    ------
    ValueError
        If there is no such protocol.
    """
    if protocol == "speaker":
        return speaker
    if protocol == "dialogue":
        return utterance if dialogue is None else dialogue
    raise ValueError(f"no split protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")


def roles(units: Sequence[str], seed: int) -> list[str]:
    """Return the role of each row, given the unit that it belongs to."""
    role = split_units(units, seed)
    return [role[unit] for unit in units]
