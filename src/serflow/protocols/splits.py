"""Splits of a corpus into training, validation and test: by a named protocol, which says what is dealt and how.

=================  =====================================================================================================
``dialogue-0``     whole dialogues, 70/10/20, draw 0 (DLC, section IV)
``speaker-3``      whole speakers, 70/10/20, draw 3
``speaker80-0``    whole speakers, 80/10/10, draw 0 (Tu et al., section 3.1)
``session-F``      a fold a session: of its two speakers the woman validates and the man is tested (Tu et al., section
                   3.1); with ``M`` the other way round, with ``both`` each in turn
``pair-F``         the same, where there are no sessions: the n-th woman and the n-th man are the n-th pair
=================  =====================================================================================================

Each protocol has a file of its own, so that no study's draws are in another's.
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
DRAWN = {"dialogue": (TRAIN_END, VAL_END), "speaker": (TRAIN_END, VAL_END), "speaker80": (0.8, 0.9)}
"""Protocols of which there are draws, and where they cut the order of the units."""
IN_TURN = ("session", "pair")
"""Protocols that hold out two speakers in turn."""
VALIDATES = ("F", "M", "both")
PROTOCOL_PATTERN = rf"(?:(?:{'|'.join(DRAWN)})-[0-9]+|(?:{'|'.join(IN_TURN)})-(?:{'|'.join(VALIDATES)}))"
"""Regular expression of the protocols' names, for the wildcard of their rule."""
_GENDERS = {"F": "female", "M": "male"}

Row = Mapping[str, str | None]


class Division(NamedTuple):
    """A fold by name, and the role of each utterance of the corpus; None where it has none in this fold."""

    fold: str
    roles: list[str | None]


class Protocol(NamedTuple):
    """A protocol by its parts: what it does, the number of its draw or None, and who validates or None."""

    kind: str
    draw: int | None
    validates: str | None

    @property
    def unit(self) -> str:
        """What is kept together: dialogue or speaker."""
        return "dialogue" if self.kind == "dialogue" else "speaker"


def draw_name(kind: str, draw: int) -> str:
    """Return the protocol's name: ``draw_name("dialogue", 0)`` is ``dialogue-0``."""
    return f"{kind}-{draw}"


def parse_protocol(protocol: str) -> Protocol:
    """Return the parts of a protocol's name.

    Raises
    ------
    ValueError
        If there is no such protocol.
    """
    if not re.fullmatch(PROTOCOL_PATTERN, protocol):
        known = [*(f"{kind}-0" for kind in DRAWN), *(f"{kind}-F" for kind in IN_TURN)]
        raise ValueError(f"no split protocol {protocol!r}; known: {', '.join(known)}, ...")
    kind, _, choice = protocol.rpartition("-")
    return Protocol(kind, int(choice), None) if kind in DRAWN else Protocol(kind, None, choice)


def divide(protocol: str, utterances: Sequence[Row]) -> list[Division]:
    """Divide a corpus.

    Parameters
    ----------
    protocol
        See the module.
    utterances
        ``utterance``, ``dialogue``, ``speaker``, ``session`` and ``gender`` of each, in corpus order.

    Raises
    ------
    CorpusError
        If there are fewer than three units, or not a woman and a man in each of two sessions or pairs.
    ValueError
        If there is no such protocol.
    """
    parts = parse_protocol(protocol)
    if parts.draw is None:
        return _held_out_in_turn(parts, utterances)
    units = [split_unit(parts.unit, str(row["utterance"]), row["dialogue"], str(row["speaker"])) for row in utterances]
    role = split_units(units, parts.draw, DRAWN[parts.kind])
    return [Division(protocol, [role[unit] for unit in units])]


def _held_out_in_turn(protocol: Protocol, utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each session or pair, or two: ``{session}-F`` is that in which the woman validates."""
    found = _sessions(utterances) if protocol.kind == "session" else _pairs(utterances)
    if len(found) < 2:
        raise CorpusError(
            f"protocol {protocol.kind}: one {protocol.kind} ({', '.join(found)}) cannot be held out and trained on; "
            "two are needed at least, or take a protocol of draws (speaker-0)"
        )
    turns = ("F", "M") if protocol.validates == "both" else (str(protocol.validates),)
    divisions = []
    for name, of_gender in found.items():
        for turn in turns:
            validates, tested = of_gender[_GENDERS[turn]], of_gender[_GENDERS["M" if turn == "F" else "F"]]
            role = {validates: "val", tested: "test"}
            divisions.append(Division(f"{name}-{turn}", [role.get(str(row["speaker"]), "train") for row in utterances]))
    return divisions


def _gender_of(utterances: Sequence[Row]) -> dict[str, str | None]:
    return {str(row["speaker"]): row["gender"] for row in utterances}


def _sessions(utterances: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the speaker of each gender, by session."""
    speakers: dict[str, set[str]] = {}
    for row in utterances:
        if row["session"] is None:
            raise CorpusError(
                f"protocol session: {row['utterance']} has no session; take the protocol pair, which makes pairs of "
                "speakers, or give the corpus's sessions"
            )
        speakers.setdefault(row["session"], set()).add(str(row["speaker"]))
    gender = _gender_of(utterances)
    for name, of_session in speakers.items():
        genders = sorted(str(gender[speaker]) for speaker in of_session)
        if genders != ["female", "male"]:
            raise CorpusError(
                f"protocol session: session {name} has {', '.join(genders)}; a woman and a man are needed in each: one "
                "validates, the other is tested. Take the protocol pair or one of draws (speaker-0)"
            )
    return {name: {str(gender[speaker]): speaker for speaker in speakers[name]} for name in sorted(speakers)}


def _pairs(utterances: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the n-th woman and the n-th man by name; who has no partner is always trained on."""
    gender = _gender_of(utterances)
    unknown = sorted(speaker for speaker, found in gender.items() if found not in _GENDERS.values())
    if unknown:
        raise CorpusError(
            f"protocol pair: the gender of {len(unknown)} of {len(gender)} speakers is not known, the first is "
            f"{unknown[0]}; give it, or take a protocol of draws (speaker-0)"
        )
    women, men = (sorted(name for name, found in gender.items() if found == kind) for kind in _GENDERS.values())
    return {
        f"{place + 1:02d}": {"female": woman, "male": man}
        for place, (woman, man) in enumerate(zip(women, men, strict=False))
    }


def _order(seed: int, unit: str) -> str:
    return hashlib.sha256(f"{seed}/{unit}".encode()).hexdigest()


def split_units(units: Iterable[str], seed: int, cuts: tuple[float, float] = (TRAIN_END, VAL_END)) -> dict[str, str]:
    """Give each unit a role.

    Units are ordered by the SHA-256 of ``"{seed}/{unit}"`` and cut at two shares of their number (rounded half to
    even), so a unit's place does not depend on the order of a table. Each role gets at least one unit.

    Parameters
    ----------
    units
        Names of dialogues, speakers or utterances; repeated names count once.
    seed
        Number of the draw.
    cuts
        Where training ends and where validation does, 0 to 1.

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
    train_end = min(max(round(cuts[0] * n), 1), n - 2)
    val_end = min(max(round(cuts[1] * n), train_end + 1), n - 1)
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
