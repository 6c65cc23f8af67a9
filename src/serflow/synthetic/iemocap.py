"""A stand-in for IEMOCAP: five sessions of two speakers, dialogues with turns, ratings by three evaluators."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from serflow.files import write_text
from serflow.synthetic.corpus import Options, Studio, dialogue_size, episodes, record
from serflow.synthetic.scripts import ENGLISH

SESSIONS = 5
TURNS = 8
GENDERS = {"F": "female", "M": "male"}
_IMPROVISED = [f"impro0{i}" for i in range(1, 9)]
_SCRIPTED = [f"script0{i}_{j}" for i in range(1, 4) for j in range(1, 4)]
_SCENES = [scene for pair in zip(_IMPROVISED, _SCRIPTED, strict=False) for scene in pair]
_OTHER_LABELS = ("undecided", "frustration", "surprise", "fear", "other")
_OTHER_SHARE = 0.12
_OTHER_CHANCES = (0.5, 0.3, 0.1, 0.05, 0.05)

_CODES = {
    "anger": "ang", "happiness": "hap", "excitement": "exc", "sadness": "sad", "neutral": "neu",
    "frustration": "fru", "fear": "fea", "surprise": "sur", "other": "oth", "undecided": "xxx",
}  # fmt: skip
_VOTES = {
    "anger": "Anger", "happiness": "Happiness", "excitement": "Excited", "sadness": "Sadness", "neutral": "Neutral",
    "frustration": "Frustration", "fear": "Fear", "surprise": "Surprise", "other": "Other",
}  # fmt: skip
# Valence, activation, dominance on the scale of the corpus (1 to 5).
_ATTRIBUTES = {
    "anger": (1.9, 3.8, 3.9), "happiness": (4.1, 3.3, 3.2), "excitement": (4.2, 3.8, 3.4), "sadness": (2.1, 2.2, 2.5),
    "neutral": (3.0, 2.7, 3.0), "frustration": (2.3, 3.2, 3.2), "fear": (2.2, 3.3, 2.3), "surprise": (3.2, 3.5, 2.9),
    "other": (3.0, 3.0, 3.0), "undecided": (2.9, 3.0, 3.0),
}  # fmt: skip


@dataclass(slots=True)
class _Turn:
    dialogue: str
    utterance: str
    emotion: str
    text: str
    duration: float = field(default=0.0)


def _labels(studio: Studio, course: list[str], dialogue: str) -> list[str]:
    """Replace some turns by labels that four-class studies leave out, and half of the happiness by excitement."""
    rng = studio.random("labels", dialogue)
    labels = []
    for emotion in course:
        if rng.random() < _OTHER_SHARE:
            emotion = str(rng.choice(_OTHER_LABELS, p=_OTHER_CHANCES))
        elif emotion == "happiness" and rng.random() < 0.5:
            emotion = "excitement"
        labels.append(emotion)
    return labels


def _turns(studio: Studio, dialogue: str, course: list[str]) -> list[_Turn]:
    """Both speakers in turn, the one with the motion-capture markers first; each has a count of his own."""
    texts = studio.random("texts", dialogue).permutation(ENGLISH).tolist()
    first, second = ("F", "M") if dialogue[5] == "F" else ("M", "F")
    turns = []
    for i, emotion in enumerate(_labels(studio, course, dialogue)):
        name = f"{dialogue}_{(first, second)[i % 2]}{i // 2:03d}"
        felt = "happiness" if emotion == "excitement" else emotion
        turns.append(_Turn(dialogue, name, emotion, studio.words(name, felt, texts[i % len(texts)])))
    return turns


def _categorical_lines(emotion: str, rng: np.random.Generator) -> list[str]:
    """Votes of three evaluators whose majority is ``emotion``; three different ones where it is undecided."""
    words = list(_VOTES.values())
    if emotion == "undecided":
        votes = rng.permutation(words[:6])[:3].tolist()
    else:
        votes = [_VOTES[emotion]] * 3
        if rng.random() < 0.5:
            votes[int(rng.integers(3))] = str(rng.choice([word for word in words if word != _VOTES[emotion]]))
    return [f"C-E{i}:\t{vote};\t()" for i, vote in enumerate(votes, start=2)]


def _evaluation(turn: _Turn, start: float, gender: str, rng: np.random.Generator) -> str:
    mean = np.array(_ATTRIBUTES[turn.emotion])
    ratings = np.clip(np.round(mean + rng.normal(0.0, 0.5, (2, 3))), 1, 5).astype(int)
    attributes = [f"A-E{i}:\tval {v}; act {a}; dom  {d};\t()" for i, (v, a, d) in enumerate(ratings, start=3)]
    own = np.clip(np.round(mean), 1, 5).astype(int)
    own_vote = _VOTES.get(turn.emotion, "Neutral")
    v, a, d = ratings.mean(axis=0)
    lines = [
        f"[{start:.4f} - {start + turn.duration:.4f}]\t{turn.utterance}\t{_CODES[turn.emotion]}"
        f"\t[{v:.4f}, {a:.4f}, {d:.4f}]",
        *_categorical_lines(turn.emotion, rng),
        f"C-{gender}1:\t{own_vote};\t()",
        *attributes,
        f"A-{gender}1:\tval {own[0]}; act {own[1]}; dom  {own[2]};\t()",
    ]
    return "\n".join(lines)


def _write_labels(studio: Studio, folder: Path, dialogue: str, turns: list[_Turn]) -> None:
    rng = studio.random("ratings", dialogue)
    blocks = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
    transcript = []
    start = float(np.round(rng.uniform(5.0, 8.0), 4))
    for turn in turns:
        end = start + turn.duration
        gender = turn.utterance.rpartition("_")[2][0]
        blocks.append(_evaluation(turn, start, gender, rng) + "\n")
        transcript.append(f"{turn.utterance} [{start:08.4f}-{end:08.4f}]: {turn.text}.")
        start = float(np.round(end + rng.uniform(0.2, 1.2), 4))
    overlapped = "M" if turns[-1].utterance.rpartition("_")[2][0] == "F" else "F"
    transcript.append(f"{overlapped}: Mmhmm.")
    write_text(folder / "EmoEvaluation" / f"{dialogue}.txt", "\n".join(blocks) + "\n")
    write_text(folder / "transcriptions" / f"{dialogue}.txt", "\n".join(transcript) + "\n")


def _dialogue_names(session: int, n: int) -> list[str]:
    return [f"Ses{session:02d}{gender}_{scene}" for scene in _SCENES for gender in "FM"][:n]


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances."""
    studio = Studio("iemocap", "en", 16000, options)
    per_session, n_turns = dialogue_size(options.utterances, SESSIONS, TURNS, most=2 * len(_SCENES))
    turns: list[_Turn] = []
    for session in range(1, SESSIONS + 1):
        emotions = ("anger", "happiness", "neutral", "sadness")
        courses = episodes(emotions, per_session, n_turns, studio.random("episodes", session))
        for dialogue, course in zip(_dialogue_names(session, per_session), courses, strict=True):
            turns += _turns(studio, dialogue, course)
    speakers = {
        f"Ses{session:02d}{letter}": studio.speaker(f"Ses{session:02d}{letter}", GENDERS[letter], session - 1)
        for session in range(1, SESSIONS + 1)
        for letter in GENDERS
    }
    utterances = []
    for turn in turns:
        session_folder = root / f"Session{int(turn.dialogue[3:5])}"
        path = session_folder / "sentences" / "wav" / turn.dialogue / f"{turn.utterance}.wav"
        speaker = speakers[turn.dialogue[:5] + turn.utterance.rpartition("_")[2][0]]
        utterances.append((path, studio.say(turn.utterance, speaker, turn.emotion, turn.text)))
    for turn, duration in zip(turns, record(studio, utterances), strict=True):
        turn.duration = duration
    for dialogue in Counter(turn.dialogue for turn in turns):
        folder = root / f"Session{int(dialogue[3:5])}" / "dialog"
        _write_labels(studio, folder, dialogue, [turn for turn in turns if turn.dialogue == dialogue])
    return len(turns)
