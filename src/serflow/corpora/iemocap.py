"""IEMOCAP (Busso et al., Language Resources and Evaluation 2008): dyadic acted dialogues in English."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from serflow.corpora._audio_files import AudioIndex, index_audio, text_files
from serflow.corpora.base import AUDIO_FILES, Corpus, CorpusInfo, Count, Listing, Rejected, Utterance, refuse_options
from serflow.errors import CorpusError
from serflow.folders import is_folder, why_no_file
from serflow.label_files import read_lines
from serflow.printable import shown

_SESSIONS = ("1", "2", "3", "4", "5")
_UTTERANCE = r"Ses0[1-5][FM]_(?:impro|script)0[1-9][ab]?(?:_\d[ab]?)?_[FM][X\d]{2}\d"
_NUMBER = r"\d{1,6}\.\d{1,9}"
_TURN = re.compile(
    rf"\[(?P<start>{_NUMBER}) - (?P<end>{_NUMBER})\]\t(?P<id>" + _UTTERANCE + r")\t(?P<emotion>\w+)\t"
    rf"\[(?P<valence>{_NUMBER}), (?P<activation>{_NUMBER}), (?P<dominance>{_NUMBER})\]"
)
_TRANSCRIPT = re.compile(r"(?P<id>" + _UTTERANCE + r") \[\d+\.\d+-\d+\.\d+\]:(?P<text>.*)")
_EMOTIONS = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral", "fru": "frustration",
    "fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other", "xxx": "undecided",
}  # fmt: skip
_FOUR_CLASSES = ("anger", "happiness", "excitement", "sadness", "neutral")


class _Turn(NamedTuple):
    """One labelled turn of a dialogue; ``start`` and ``end`` (s) in the recording of the dialogue."""

    start: float
    end: float
    id: str
    emotion: str
    valence: float
    activation: float
    dominance: float


def _read_turns(labels: Path, root: Path) -> tuple[list[_Turn], list[Rejected]]:
    """Read the turn lines of an EmoEvaluation file, by start time; the lines of single raters are passed over."""
    name = labels.relative_to(root).as_posix()
    turns: list[_Turn] = []
    rejected: list[Rejected] = []
    try:
        lines = read_lines(labels)
    except CorpusError as error:
        return [], [Rejected("", name, str(error))]
    for number, line in enumerate(lines, start=1):
        line = line.rstrip()
        if not line.startswith("[") and not re.search(r"\tSes0", line):
            continue
        match = _TURN.fullmatch(line)
        if match is None or match["emotion"] not in _EMOTIONS or not match["id"].startswith(f"{labels.stem}_"):
            rejected.append(Rejected("", name, f"{name}:{number}: not a label line of this dialogue: {shown(line)}"))
            continue
        turns.append(
            _Turn(
                float(match["start"]),
                float(match["end"]),
                match["id"],
                _EMOTIONS[match["emotion"]],
                float(match["valence"]),
                float(match["activation"]),
                float(match["dominance"]),
            )
        )
    return sorted(turns), rejected


def _read_texts(transcript: Path, notes: list[str]) -> dict[str, str]:
    """Read a transcript by utterance; lines without an id (overlapping speech) belong to no utterance."""
    if why_no_file(transcript) == "there is no such file":
        return {}
    try:
        lines = [line.rstrip() for line in read_lines(transcript)]
    except CorpusError as error:
        notes.append(f"{error}; the texts of this dialogue are absent")
        return {}
    matches = [_TRANSCRIPT.fullmatch(line) for line in lines]
    unread = [
        number
        for number, (line, match) in enumerate(zip(lines, matches, strict=True), start=1)
        if match is None and line.startswith(transcript.stem)
    ]
    if unread:
        notes.append(f"{transcript}:{unread[0]}: not a line of a transcript ({len(unread)} such lines); text is absent")
    return {match["id"]: match["text"].strip() for match in matches if match}


def _utterance(turn: _Turn, order: int, dialogue: str, text: str | None, path: str) -> Utterance:
    session = dialogue[4]
    letter = turn.id[-4]
    return Utterance(
        id=turn.id,
        path=path,
        speaker=f"Ses0{session}{letter}",
        language="en",
        session=session,
        dialogue=dialogue,
        turn=order,
        gender="female" if letter == "F" else "male",
        style="improvised" if "_impro" in dialogue else "scripted",
        text=text,
        emotion=turn.emotion,
        valence=turn.valence,
        activation=turn.activation,
        dominance=turn.dominance,
    )


def _add_dialogue(listing: Listing, labels: Path, audio: AudioIndex, root: Path, labelled: set[str]) -> None:
    dialogue = labels.stem
    session = labels.parents[2]
    turns, broken = _read_turns(labels, root)
    listing.rejected += broken
    texts = _read_texts(session / "dialog" / "transcriptions" / labels.name, listing.notes)
    for order, turn in enumerate(turns):
        labelled.add(turn.id)
        path = audio.paths.get(turn.id)
        if path is None:
            expected = (session / "sentences" / "wav" / dialogue / f"{turn.id}.wav").relative_to(root).as_posix()
            listing.rejected.append(
                audio.missing(turn.id, turn.id, expected, "labelled, but there is no such audio file")
            )
        else:
            listing.utterances.append(_utterance(turn, order, dialogue, texts.get(turn.id), path.as_posix()))


class Iemocap(Corpus):
    """``Session1..5``: labels in ``dialog/EmoEvaluation/*.txt``, audio in ``sentences/wav``.

    The speaker is told by the letter before the last number: in ``Ses01F_impro01_M000`` the prefix
    ``Ses01F`` says who wears the motion-capture markers, and ``Ses01M`` speaks. ``turn`` is the order of
    the start times among all labelled turns of the dialogue.
    """

    info = CorpusInfo(
        title="IEMOCAP",
        n_utterances=10_039,
        language="en",
        licence="signed agreement",
        address="https://sail.usc.edu/iemocap/",
        reads=(
            *(f"Session?/sentences/wav/{name}" for name in AUDIO_FILES),
            "Session?/dialog/EmoEvaluation/*.txt",
            "Session?/dialog/transcriptions/*.txt",
        ),
        turns=True,
        published=(
            Count("session", {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241}, among=_FOUR_CLASSES),
            Count(
                "speaker",
                {
                    "Ses01F": 528, "Ses01M": 557, "Ses02F": 481, "Ses02M": 542, "Ses03F": 522,
                    "Ses03M": 629, "Ses04F": 528, "Ses04M": 503, "Ses05F": 590, "Ses05M": 651,
                },
                among=_FOUR_CLASSES,
            ),
            Count("style", {"improvised": 2943, "scripted": 2588}, among=_FOUR_CLASSES),
            Count(
                "emotion",
                {
                    "anger": 1103, "happiness": 595, "excitement": 1041, "sadness": 1084, "neutral": 1708,
                    "frustration": 1849, "surprise": 107, "fear": 40, "disgust": 2, "other": 3, "undecided": 2507,
                },
            ),
        ),
    )  # fmt: skip

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the labels under ``root``, the folder that holds Session1 to Session5; the corpus has no options."""
        refuse_options(options)
        sessions = [root / f"Session{number}" for number in _SESSIONS if is_folder(root / f"Session{number}")]
        if not sessions:
            raise CorpusError(
                f"{self.info.title}: Session1..Session5 not found in {root}; "
                "point root at the folder that holds them (IEMOCAP_full_release)"
            )
        listing = Listing()
        for session in sessions:
            shut = len(listing.rejected)
            files = text_files(root, session / "dialog" / "EmoEvaluation", ".txt", listing.rejected.append)
            if not files and len(listing.rejected) == shut:
                raise CorpusError(
                    f"{self.info.title}: no label file in {session / 'dialog' / 'EmoEvaluation'}; unpack it again"
                )
            audio = index_audio(root, (session / "sentences" / "wav").relative_to(root))
            labelled: set[str] = set()
            for labels in files:
                _add_dialogue(listing, labels, audio, root, labelled)
            listing.rejected += audio.unused(labelled, "audio without a label in EmoEvaluation")
        return listing


CORPUS = Iemocap()
