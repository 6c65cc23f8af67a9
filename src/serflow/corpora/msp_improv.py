"""MSP-IMPROV (Busso et al., IEEE Transactions on Affective Computing 2017): dyadic improvisations in English."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serflow.corpora._audio_files import closed_folders, find_file, index_audio
from serflow.corpora.base import (
    AUDIO_FILES,
    Corpus,
    CorpusInfo,
    Count,
    Listing,
    Rejected,
    Utterance,
    refuse_options,
)
from serflow.errors import CorpusError
from serflow.label_files import read_lines
from serflow.printable import shown

_LABEL_FILES = ("Evalution.txt", "Evaluation.txt")
_NUMBER = r"(-?\d{1,6}(?:\.\d{1,9})?|NaN)"
_NAME = re.compile(
    r"(?P<scenario>(?P<sentence>S\d\d)[AHNS])-(?P<speaker>(?P<gender>[FM])0(?P<session>[1-6]))"
    r"-(?P<recording>[PRST])-(?P<order>[FM]{2})(?P<turn>\d{1,6})"
)
_CLIP = re.compile(
    r"(?:UTD|MSP)-IMPROV-(?P<name>[A-Z0-9-]+)\.\w+; ?(?P<emotion>[A-Z]); ?"
    rf"A:(?P<activation>{_NUMBER}); ?V:(?P<valence>{_NUMBER}); ?D:(?P<dominance>{_NUMBER}) ?; ?N:{_NUMBER};?"
)
_RATING = re.compile(
    rf"(?P<rater>[^;]+);[^;]*;.*; ?A:{_NUMBER}; ?V:(?P<valence>{_NUMBER}); ?D:{_NUMBER} ?; ?N:{_NUMBER};?"
)
_EMOTIONS = {
    "A": "anger", "H": "happiness", "S": "sadness", "N": "neutral", "O": "other", "X": "undecided",
}  # fmt: skip
_STYLES = {"P": "natural", "R": "read", "S": "improvised", "T": "target"}
_IMPROVISED = "ST"


@dataclass(slots=True)
class _Clip:
    """The block of one clip in the label file: the consensus, and the valence that each rater gave."""

    name: re.Match[str]
    emotion: str
    valence: float | None
    activation: float | None
    dominance: float | None
    ratings: dict[str, float | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"MSP-IMPROV-{self.name.string}"

    @property
    def dialogue(self) -> str:
        scenario, recording = f"{self.name['session']}-{self.name['scenario']}", self.name["recording"]
        return scenario if recording in _IMPROVISED else f"{scenario}-{recording}"

    @property
    def valence_ratings(self) -> tuple[float, ...] | None:
        return tuple(rating for rating in self.ratings.values() if rating is not None) or None


def _number(text: str) -> float | None:
    value = float(text)
    return None if math.isnan(value) else value


def _clip(line: str) -> _Clip | None:
    match = _CLIP.fullmatch(line)
    name = _NAME.fullmatch(match["name"]) if match else None
    if match is None or name is None or match["emotion"] not in _EMOTIONS:
        return None
    return _Clip(
        name,
        _EMOTIONS[match["emotion"]],
        _number(match["valence"]),
        _number(match["activation"]),
        _number(match["dominance"]),
    )


def _read_labels(labels: Path, root: Path) -> tuple[list[_Clip], list[Rejected]]:
    """Read the blocks of the label file: a clip line, a line a rater, a blank line."""
    where = labels.relative_to(root).as_posix()
    clips: list[_Clip] = []
    rejected = []
    clip: _Clip | None = None
    broken = False
    for number, line in enumerate(read_lines(labels), start=1):
        line = line.strip()
        rating = _RATING.fullmatch(line)
        if not line:
            clip, broken = None, False
        elif line.startswith(("UTD-IMPROV-", "MSP-IMPROV-")) or (clip is None and not broken):
            clip = _clip(line)
            broken = clip is None
            if clip is None:
                reason = f"{where}:{number}: not a clip line, its block is left out: {shown(line)}"
                rejected.append(Rejected("", where, reason))
            else:
                clips.append(clip)
        elif clip is not None and rating is None:
            reason = f"{where}:{number}: not a rater line of {clip.id}, the rating is left out: {shown(line)}"
            rejected.append(Rejected("", where, reason, lost=False))
        elif clip is not None and rating is not None:
            clip.ratings.setdefault(rating["rater"], _number(rating["valence"]))
    return clips, rejected


def _order(clip: _Clip) -> tuple[int, str, str]:
    return int(clip.name["turn"]), clip.name["recording"], clip.name.string


def _turns(clips: list[_Clip]) -> dict[str, int]:
    """Return each clip's place in its dialogue: by its number, turns around a target sentence before it."""
    dialogues: dict[str, list[_Clip]] = {}
    for clip in clips:
        dialogues.setdefault(clip.dialogue, []).append(clip)
    return {clip.id: turn for members in dialogues.values() for turn, clip in enumerate(sorted(members, key=_order))}


def _utterance(clip: _Clip, turn: int, path: str) -> Utterance:
    name = clip.name
    return Utterance(
        id=clip.id,
        path=path,
        speaker=name["speaker"],
        language="en",
        session=name["session"],
        dialogue=clip.dialogue,
        turn=turn,
        gender="female" if name["gender"] == "F" else "male",
        style=_STYLES[name["recording"]],
        sentence=name["sentence"],
        emotion=clip.emotion,
        valence=clip.valence,
        activation=clip.activation,
        dominance=clip.dominance,
        valence_ratings=clip.valence_ratings,
    )


class MspImprov(Corpus):
    """``Evalution.txt`` (so spelt by the publisher) and ``MSP-IMPROV-S01A-F01-S-FM01.wav`` at any depth.

    A dialogue is what the two partners of a session improvised in one scenario, e.g. ``1-S01A``: target sentences (T)
    and the turns around them (S). Where each partner had the target sentence once, both improvisations are in it, since
    the names do not tell them apart for certain. What the partners said between the takes (P) and what they read (R)
    are dialogues of their own, ``1-S01A-P`` and ``1-S01A-R``. Turns are ordered by the number in their names. Styles
    are ``natural`` (P), ``read`` (R, target sentence), ``improvised`` (S) and ``target`` (T, target sentence
    improvised). A rater who stands twice under a clip counts once, and ratings that are NaN do not count.
    """

    info = CorpusInfo(
        title="MSP-Improv",
        n_utterances=8_438,
        language="en",
        licence="signed agreement",
        address="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
        reads=(*AUDIO_FILES, *(f"*{name}" for name in _LABEL_FILES)),
        turns=True,
        published=(
            Count("session", {"5": 1505, "6": 1622}, complete=False),
            Count("style", {"target": 652, "read": 620, "improvised": 4381, "natural": 2785}),
            Count("emotion", {"anger": 792, "happiness": 2644, "neutral": 3477, "sadness": 885}, complete=False),
        ),
    )

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read label file and audio under ``root``; the corpus has no options."""
        refuse_options(options)
        labels = find_file(root, _LABEL_FILES)
        if labels is None:
            raise CorpusError(
                f"{self.info.title}: no {' or '.join(_LABEL_FILES)} in {root} or its folders"
                f"; "
                "point root at the folder that holds the label file and the audio"
                f"{closed_folders(index_audio(root).rejected)}"
            )
        clips, broken = _read_labels(labels, root)
        audio = index_audio(root)
        listing = Listing(rejected=broken)
        turns = _turns(clips)
        for clip in clips:
            path = audio.paths.get(clip.id)
            if path is None:
                reason = "labelled, but there is no audio file of this name"
                listing.rejected.append(audio.missing(clip.id, clip.id, f"{clip.id}.wav", reason))
            else:
                listing.utterances.append(_utterance(clip, turns[clip.id], path.as_posix()))
        listing.rejected += audio.unused({clip.id for clip in clips}, f"audio without a label in {labels.name}")
        return listing


CORPUS = MspImprov()
