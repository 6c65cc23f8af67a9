"""Splits of a corpus into training, validation and test: by a named protocol, which says what is dealt and how.

===================  ===================================================================================================
``dialogue-0``       whole dialogues, 70/10/20, draw 0 (DLC, section IV)
``speaker-3``        whole speakers, 70/10/20, draw 3
``partners-0``       whole groups of speakers who have dialogues in common, of IEMOCAP its sessions, 70/10/20, draw 0;
                     without dialogues each speaker alone
``speaker80-0``      whole speakers, 80/10/10, draw 0 (Tu et al., section 3.1)
``utterance-0``      single utterances, 64/16/20, draw 0 (Wang et al., section 3), of every emotion alike
``speaker64-0``      whole speakers, 64/16/20, draw 0
``sentence-0``       whole sentences, 64/16/20, draw 0, whoever says them
``session-F``        a fold a session: of its two speakers the woman validates and the man is tested (Tu et al., section
                     3.1); with ``M`` the other way round, with ``both`` each in turn
``pair-F``           the same, where there are no sessions: the n-th woman and the n-th man are the n-th pair
``other_session-F``  the tests of ``session-F``, and the woman of the tested session has no role: that of the next one
                     validates (after the last comes the first); likewise ``other_pair-F``
``last_session``     a fold for each speaker of all sessions but the last: one is tested, the others of them train, and
                     the last session validates in every fold (Xia et al., section 3.3)
``leave_session``    a fold a session: all of it is tested, the next one validates (after the last comes the first)
``in_turn-8``        a fold for each of the first 8 speakers: one is tested, the other seven train, and the remaining
                     speakers validate in every fold; the like of ``last_session``, where there are no sessions
``speaker_folds-5``  5 folds of whole speakers, as even as can be: one is tested, the next one validates
``dialogue_fold``    a fold for each speaker that dialogues are named by (``Ses01F_impro01``), who is not alone in
                     them: all utterances of these dialogues are tested, the others train (code of Cai et al., 2021)
``speaker_fold``     a fold for each speaker, who is tested; the others train
``session_fold``     a fold for each session, which is tested; the others train
``utterance_fold``   ten folds of utterances, of all speakers alike
===================  ===================================================================================================

Sessions are in the order of their names, 2 before 10; speakers in that of the letters of theirs. Each protocol has a
file of its own, so that no study's draws are in another's. Which study asked for a protocol is not known here: what is
said of a corpus that does not allow it names the keys that may have chosen it (`CHOICES`).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from serflow.errors import CorpusError
from serflow.order import natural
from serflow.protocols.shared import script

ROLES = ("train", "val", "test")
UNITS = ("dialogue", "speaker")
TRAIN_END = 0.7
VAL_END = 0.8
DRAWN = {
    "dialogue": (TRAIN_END, VAL_END),
    "speaker": (TRAIN_END, VAL_END),
    "partners": (TRAIN_END, VAL_END),
    "speaker80": (0.8, 0.9),
    "speaker64": (0.64, 0.8),
    "sentence": (0.64, 0.8),
    "utterance": (0.64, 0.8),
}
"""Protocols of which there are draws, and where they cut the order of the units."""
OTHER = "other_"
COUPLES = ("session", "pair", f"{OTHER}session", f"{OTHER}pair")
"""Protocols that hold out a woman and a man in turn; those of `OTHER` validate on neither of the two."""
VALIDATES = ("F", "M", "both")
WHOLE_SESSIONS = ("last_session", "leave_session")
"""Protocols of whose folds a whole session is held out."""
TESTED_IN_TURN = ("dialogue_fold", "speaker_fold", "session_fold", "utterance_fold")
"""Protocols that test each part of a corpus in turn and train on the rest; nobody validates."""
N_UTTERANCE_FOLDS = 10
COUNTED = {"in_turn": 8, "speaker_folds": 5}
"""Protocols whose name says how many speakers or folds are tested in turn, and how many of them are usual."""
PROTOCOL_PATTERN = (
    rf"(?:(?:{'|'.join(DRAWN)})-[0-9]+|(?:{'|'.join(COUPLES)})-(?:{'|'.join(VALIDATES)})"
    rf"|{'|'.join((*WHOLE_SESSIONS, *TESTED_IN_TURN))}|(?:{'|'.join(COUNTED)})-[0-9]+)"
)
"""Regular expression of the protocols' names, for the wildcard of their rule."""
_GENDERS = {"F": "female", "M": "male"}


class Choice(NamedTuple):
    """A key of the configuration that chooses a protocol, the kinds that it may name, and the key of the corpus."""

    key: str
    kinds: tuple[str, ...]
    corpus: str


CHOICES = (
    Choice("dlc.split", ("dialogue", "speaker", "partners"), "dlc.corpora"),
    Choice("invariance.held_out", COUPLES, "invariance.corpus"),
    Choice("invariance.many_speakers.split", ("speaker80", "speaker"), "invariance.many_speakers.corpus"),
    Choice("temporal.folds", (*WHOLE_SESSIONS, "in_turn", "speaker"), "temporal.corpus"),
    Choice("multigating.split", ("utterance", "sentence", "speaker64", "speaker_folds"), "multigating.languages"),
    Choice("speakernorm.folds", TESTED_IN_TURN, "speakernorm.corpus"),
)

Row = Mapping[str, str | None]
COLUMNS = ("utterance", "dialogue", "speaker", "session", "gender", "emotion", "intensity", "text", "style", "sentence")
"""What a division reads of an utterance."""


class Division(NamedTuple):
    """A fold by name, and the role of each utterance of the corpus; None where it has none in this fold."""

    fold: str
    roles: list[str | None]


class Protocol(NamedTuple):
    """A protocol by its parts; None where it has no such part.

    Parameters
    ----------
    kind
        What it does.
    draw
        Number of its draw.
    validates
        Who of a woman and a man validates.
    n_tested
        How many speakers, or folds of them, are tested in turn.
    """

    kind: str
    draw: int | None = None
    validates: str | None = None
    n_tested: int | None = None

    @property
    def unit(self) -> str:
        """What is kept together: dialogue, sentence, speaker, or the utterance alone."""
        unit = self.kind.removesuffix("_fold")
        return unit if unit in ("dialogue", "sentence", "utterance") else "speaker"


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
        known = [
            *(f"{kind}-0" for kind in DRAWN),
            *(f"{kind}-F" for kind in COUPLES),
            *WHOLE_SESSIONS,
            *TESTED_IN_TURN,
            *(f"{kind}-{count}" for kind, count in COUNTED.items()),
        ]
        raise ValueError(f"no split protocol {protocol!r}; known: {', '.join(known)}, ...")
    kind, _, choice = protocol.partition("-")
    if kind in DRAWN:
        return Protocol(kind, draw=int(choice))
    if kind in COUPLES:
        return Protocol(kind, validates=choice)
    return Protocol(kind, n_tested=int(choice) if choice else None)


def divide(protocol: str, utterances: Sequence[Row]) -> list[Division]:
    """Divide a corpus.

    Parameters
    ----------
    protocol
        See the module.
    utterances
        `COLUMNS` of each, in corpus order.

    Raises
    ------
    CorpusError
        If the corpus does not allow the protocol: it lacks sessions, genders, or enough of them or of speakers. Says
        which keys choose the protocol, and what else they may name that the corpus allows.
    ValueError
        If there is no such protocol.
    """
    parts = parse_protocol(protocol)
    try:
        return _divide(protocol, utterances)
    except CorpusError as error:
        raise CorpusError(f"protocol {protocol}: {error}; {_otherwise(parts.kind, utterances)}") from error


def _otherwise(kind: str, utterances: Sequence[Row]) -> str:
    """Return what to write instead: for each key that may have chosen a kind, the others that the corpus allows."""
    said = []
    for key, kinds, corpus in CHOICES:
        if kind in kinds:
            others = [other for other in kinds if other != kind and _allows(other, utterances)]
            said.append(f"{key} to {' or '.join(others)}" if others else f"{corpus} to another corpus")
    return f"set {', or '.join(said)}"


def _allows(kind: str, utterances: Sequence[Row]) -> bool:
    choice = "-0" if kind in DRAWN else "-F" if kind in COUPLES else f"-{COUNTED[kind]}" if kind in COUNTED else ""
    try:
        _divide(kind + choice, utterances)
    except CorpusError:
        return False
    return True


def _divide(protocol: str, utterances: Sequence[Row]) -> list[Division]:
    parts = parse_protocol(protocol)
    if parts.draw is not None:
        cuts = DRAWN[parts.kind]
        if parts.unit == "utterance":
            return [Division(protocol, _stratified(utterances, parts.draw, cuts))]
        units = _units(parts, utterances)
        role = split_units(units, parts.draw, cuts)
        return [Division(protocol, [role[unit] for unit in units])]
    if parts.kind == "speaker_folds":
        return _speakers_in_folds(int(parts.n_tested or 0), utterances)
    if parts.n_tested is not None:
        return _first_speakers_in_turn(parts.n_tested, utterances)
    if parts.kind in COUPLES:
        return _couples_in_turn(parts, utterances)
    if parts.kind in TESTED_IN_TURN:
        return _parts_in_turn(parts.kind, utterances)
    return _all_but_last_session(utterances) if parts.kind == "last_session" else _sessions_in_turn(utterances)


def _units(parts: Protocol, utterances: Sequence[Row]) -> list[str]:
    """Return what each utterance is kept together with."""
    if parts.kind == "partners":
        return _partners(utterances)
    if parts.unit == "sentence":
        return _sentences(utterances)
    return [split_unit(parts.unit, str(row["utterance"]), row["dialogue"], str(row["speaker"])) for row in utterances]


def _stratified(utterances: Sequence[Row], seed: int, cuts: tuple[float, float]) -> list[str | None]:
    """Return roles of single utterances, of each emotion in each intensity to the shares of all, give or take one.

    Emotions stand one after the other, those without an intensity first, and their utterances in the order of
    `split_units`. Of the first ``k`` of them all, for every ``k``, the share that is tested is rounded to whole
    utterances; likewise the share that validates of those that are not tested. So rounding does not add up over
    emotions, and a study that uses some intensities of a corpus finds the shares in what it uses.
    """
    order = sorted(
        range(len(utterances)),
        key=lambda place: (
            utterances[place]["intensity"] or "",
            utterances[place]["emotion"] or "",
            _order(seed, str(utterances[place]["utterance"])),
        ),
    )
    test = _every(order, 1 - cuts[1])
    val = _every([place for place in order if place not in test], 1 - cuts[0] / cuts[1])
    roles: list[str | None] = [
        "test" if place in test else "val" if place in val else "train" for place in range(len(utterances))
    ]
    if absent := [role for role in ROLES if role not in roles]:
        raise CorpusError(f"of {len(utterances)} utterance(s) none is left for {', '.join(absent)}")
    return roles


def _every(places: Sequence[int], share: float) -> set[int]:
    """Return evenly spaced places, of the first ``k`` the ``share``, rounded."""
    return {place for k, place in enumerate(places) if round(share * (k + 1)) > round(share * k)}


def _partners(utterances: Sequence[Row]) -> list[str]:
    """Return of each utterance the first by name of all who talk to its speaker, to one of these, and so on.

    Raises
    ------
    CorpusError
        If they are fewer than three groups.
    """
    group = {str(row["speaker"]): {str(row["speaker"])} for row in utterances}
    first_of: dict[str, str] = {}
    for row in utterances:
        if row["dialogue"] is None:
            continue
        speaker = str(row["speaker"])
        other = first_of.setdefault(row["dialogue"], speaker)
        if other not in group[speaker]:
            joined = group[speaker] | group[other]
            group.update(dict.fromkeys(joined, joined))
    found = [min(group[str(row["speaker"])]) for row in utterances]
    if len(set(found)) < len(ROLES):
        raise CorpusError(
            f"{len(group)} speaker(s) in {len(set(found))} group(s) that talk to each other, three groups are needed"
        )
    return found


def _sentences(utterances: Sequence[Row]) -> list[str]:
    """Return what is said in each utterance.

    Raises
    ------
    CorpusError
        If that is not known of one.
    """
    said = [script(row["text"], row["style"], row["sentence"]) for row in utterances]
    for row, sentence in zip(utterances, said, strict=True):
        if sentence is None:
            raise CorpusError(
                f"of {row['utterance']} no sentence is known ({said.count(None)} of {len(said)} utterances are so)"
            )
    return [str(sentence) for sentence in said]


def _speakers_in_folds(n_folds: int, utterances: Sequence[Row]) -> list[Division]:
    """Return folds of speakers who are next to each other by name: one is tested, the next one validates."""
    speakers = sorted({str(row["speaker"]) for row in utterances})
    if n_folds < len(ROLES) or len(speakers) < n_folds:
        advice = f"; set multigating.folds to {len(speakers)} or fewer" if len(ROLES) <= len(speakers) < n_folds else ""
        raise CorpusError(
            f"{len(speakers)} speaker(s) in {n_folds} folds; three folds are needed at least, and a speaker in each"
            f"{advice}"
        )
    fold_of = {speaker: place * n_folds // len(speakers) for place, speaker in enumerate(speakers)}
    divisions = []
    for tested in range(n_folds):
        role = {tested: "test", (tested + 1) % n_folds: "val"}
        divisions.append(
            Division(str(tested + 1), [role.get(fold_of[str(row["speaker"])], "train") for row in utterances])
        )
    return divisions


def _couples_in_turn(protocol: Protocol, utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each session or pair, or two: ``{session}-F`` is that in which a woman validates.

    She is of the tested session, or of the next one, and then the woman of the tested session has no role.
    """
    what = protocol.kind.removeprefix(OTHER)
    other = what != protocol.kind
    found = _sessions(utterances) if what == "session" else _pairs(utterances)
    if len(found) < 2:
        raise CorpusError(f"one {what} ({', '.join(found)}) cannot be held out and trained on, two are needed at least")
    names = list(found)
    validating = dict(zip(names, [*names[1:], names[0]] if other else names, strict=True))
    turns = ("F", "M") if protocol.validates == "both" else (str(protocol.validates),)
    divisions = []
    for name, of_gender in found.items():
        for turn in turns:
            tested = of_gender[_GENDERS["M" if turn == "F" else "F"]]
            validates = found[validating[name]][_GENDERS[turn]]
            role: dict[str, str | None] = {**dict.fromkeys(of_gender.values()), tested: "test", validates: "val"}
            divisions.append(Division(f"{name}-{turn}", [role.get(str(row["speaker"]), "train") for row in utterances]))
    return divisions


def _parts_in_turn(kind: str, utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each part of the corpus, which is tested while the rest trains; ``speaker_01F`` of Ses01F."""
    part_of = {
        "dialogue_fold": _named_by,
        "speaker_fold": lambda rows: [str(row["speaker"]) for row in rows],
        "session_fold": _session_of,
        "utterance_fold": _tenths,
    }[kind](utterances)
    parts = sorted(set(part_of))
    if len(parts) < 2:
        raise CorpusError(f"all utterances are of {', '.join(parts) or 'nobody'}, and none is left to train on")
    what = kind.removesuffix("_fold")
    return [
        Division(f"{what}_{part.removeprefix('Ses')}", ["test" if other == part else "train" for other in part_of])
        for part in parts
    ]


def _named_by(utterances: Sequence[Row]) -> list[str]:
    """Return the speaker that the dialogue of each utterance is named by: what stands before its first ``_``."""
    speakers = {row["speaker"] for row in utterances}
    found = []
    for row in utterances:
        name = (row["dialogue"] or "").partition("_")[0]
        if name not in speakers:
            raise CorpusError(
                f"{row['utterance']} has no dialogue"
                if row["dialogue"] is None
                else f"dialogue {row['dialogue']} is not named by a speaker of the corpus, as IEMOCAP's are"
            )
        found.append(name)
    return found


def _session_of(utterances: Sequence[Row]) -> list[str]:
    _whole_sessions(utterances, 2)
    return [str(row["session"]) for row in utterances]


def _tenths(utterances: Sequence[Row]) -> list[str]:
    """Return a number below `N_UTTERANCE_FOLDS` for each utterance; in the order of SHA-256 they are dealt in turn."""
    names = sorted((str(row["utterance"]) for row in utterances), key=lambda name: (_order(0, name), name))
    place = {name: at % N_UTTERANCE_FOLDS for at, name in enumerate(names)}
    return [str(place[str(row["utterance"])]) for row in utterances]


def _whole_sessions(utterances: Sequence[Row], at_least: int) -> dict[str, set[str]]:
    """Return the speakers of each of ``at_least`` that many sessions, none of them in two."""
    sessions = _speakers_of_sessions(utterances)
    if len(sessions) < at_least:
        raise CorpusError(
            f"the corpus has {len(sessions)} session(s) ({', '.join(sessions)}) where at least {at_least} are needed"
        )
    found: dict[str, str] = {}
    for name, speakers in sessions.items():
        for speaker in sorted(speakers):
            if speaker in found:
                raise CorpusError(
                    f"speaker {speaker} is in the sessions {found[speaker]} and {name}, and would be trained on and "
                    "held out; give each session speakers of its own"
                )
            found[speaker] = name
    return sessions


def _all_but_last_session(utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each speaker of the sessions before the last, which validates."""
    *others, (last, _) = _whole_sessions(utterances, 2).items()
    speakers = sorted(speaker for _, of_session in others for speaker in of_session)
    if len(speakers) < 2:
        raise CorpusError(
            f"beside session {last}, which validates, there is one speaker, {speakers[0]}, who cannot be tested and "
            "trained on"
        )
    return _speakers_in_turn(speakers, utterances)


def _sessions_in_turn(utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each session, which is tested; the next one validates."""
    names = list(_whole_sessions(utterances, 3))
    divisions = []
    for tested, validates in zip(names, [*names[1:], names[0]], strict=True):
        role = {tested: "test", validates: "val"}
        divisions.append(Division(tested, [role.get(str(row["session"]), "train") for row in utterances]))
    return divisions


def _first_speakers_in_turn(n_tested: int, utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each of the first speakers, who is tested; who is not of them validates."""
    speakers = sorted({str(row["speaker"]) for row in utterances})
    if n_tested < 2:
        raise CorpusError(
            f"of {n_tested} speaker(s) none is left to train on while one is tested; set temporal.tested to 2 or more"
        )
    if len(speakers) <= n_tested:
        fewer = f"; set temporal.tested to {len(speakers) - 1} or fewer" if len(speakers) > 2 else ""
        raise CorpusError(
            f"the corpus has {len(speakers)} speaker(s) where at least {n_tested + 1} are needed, as those who are not "
            f"tested in turn validate{fewer}"
        )
    return _speakers_in_turn(speakers[:n_tested], utterances)


def _speakers_in_turn(speakers: Sequence[str], utterances: Sequence[Row]) -> list[Division]:
    """Return a fold for each of the speakers, who is tested while the others train; all others validate."""
    role = dict.fromkeys(speakers, "train")
    return [
        Division(
            tested, ["test" if row["speaker"] == tested else role.get(str(row["speaker"]), "val") for row in utterances]
        )
        for tested in speakers
    ]


def _gender_of(utterances: Sequence[Row]) -> dict[str, str | None]:
    return {str(row["speaker"]): row["gender"] for row in utterances}


def _speakers_of_sessions(utterances: Sequence[Row]) -> dict[str, set[str]]:
    """Return the speakers of each session, by its name in order.

    Raises
    ------
    CorpusError
        If an utterance has no session.
    """
    speakers: dict[str, set[str]] = {}
    for row in utterances:
        if row["session"] is None:
            raise CorpusError(f"{row['utterance']} has no session; give the corpus's sessions")
        speakers.setdefault(row["session"], set()).add(str(row["speaker"]))
    return {name: speakers[name] for name in sorted(speakers, key=natural)}


def _sessions(utterances: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the speaker of each gender, by session."""
    speakers = _speakers_of_sessions(utterances)
    gender = _gender_of(utterances)
    for name, of_session in speakers.items():
        genders = sorted(gender[speaker] or "unknown" for speaker in of_session)
        if genders != ["female", "male"]:
            raise CorpusError(
                f"session {name} has {', '.join(genders)}, where a woman and a man are needed, of whom one validates "
                "and the other is tested"
            )
    return {name: {str(gender[speaker]): speaker for speaker in of_session} for name, of_session in speakers.items()}


def _pairs(utterances: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the n-th woman and the n-th man by name; who has no partner is always trained on."""
    gender = _gender_of(utterances)
    unknown = sorted(speaker for speaker, found in gender.items() if found not in _GENDERS.values())
    if unknown:
        raise CorpusError(
            f"the gender of {len(unknown)} of {len(gender)} speakers is not known, the first is {unknown[0]}; give it"
        )
    women, men = (sorted(name for name, found in gender.items() if found == kind) for kind in _GENDERS.values())
    if not women or not men:
        raise CorpusError(f"there are no pairs of {len(women)} women and {len(men)} men")
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
        Names of dialogues, sentences, speakers or utterances; repeated names count once.
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
            "at least 3 dialogues, sentences or speakers are needed"
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
