"""CMU-MOSEI (Zadeh et al., ACL 2018): sentiment and emotion in English monologues on video."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serflow.corpora._audio_files import closed_folders, index_audio, text_files
from serflow.corpora._values import number
from serflow.corpora.base import AUDIO_FILES, Corpus, CorpusInfo, Listing, Rejected, Utterance, refuse_options
from serflow.errors import CorpusError, MissingDependencyError
from serflow.folders import is_folder, why_no_file
from serflow.label_files import read_lines, read_rows

_CSD = "CMU_MOSEI_Labels.csd"
_DERIVED = "CMU_MOSEI_Labels.csv"
_AUDIO = Path("Audio", "Full", "WAV_16000")
_TRANSCRIPTS = Path("Transcript", "Segmented", "Combined")
_EMOTIONS = {
    "happy": "happiness", "happiness": "happiness", "sad": "sadness", "sadness": "sadness", "anger": "anger",
    "surprise": "surprise", "disgust": "disgust", "fear": "fear",
}  # fmt: skip
_LARGEST = 1e9
_MOST_VALUES = 10_000_000
_ANSWERS = ("sentiment", "anger", "disgust", "fear", "happiness", "sadness", "surprise")


@dataclass(frozen=True, slots=True)
class _Segment:
    """A labelled stretch of a video; ``start`` and ``end`` in s, ``index`` is its number in the label source."""

    video: str
    index: str
    start: float
    end: float
    sentiment: float
    emotion: str | None

    @property
    def id(self) -> str:
        return f"{self.video}_{self.index}"

    @property
    def time(self) -> tuple[int, int]:
        """Start and end in ms, to find the same segment in the transcripts."""
        return _milliseconds(self.start), _milliseconds(self.end)

    @property
    def fault(self) -> str | None:
        if not all(abs(value) <= _LARGEST for value in (self.start, self.end, self.sentiment)):
            return "start, end or sentiment is not a number"
        if self.start < 0 or self.end <= self.start:
            return f"start {self.start:g} s and end {self.end:g} s enclose no audio"
        return None


@dataclass(frozen=True, slots=True)
class _Transcribed:
    """A clip of a video as transcribed."""

    clip: str
    start: float
    end: float
    text: str


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds) if abs(seconds) <= _LARGEST else -1


def _strongest(emotions: Mapping[str, float]) -> str | None:
    """Return the one emotion that is present most, None where none is present or several are alike."""
    peak = max(emotions.values(), default=0.0)
    peaks = [emotion for emotion, strength in emotions.items() if strength == peak]
    return peaks[0] if peak > 0 and len(peaks) == 1 else None


def _read_csd(path: Path) -> Iterator[_Segment]:
    """Read the labels of the CMU Multimodal SDK: HDF5 with ``features`` and ``intervals`` a video."""
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(f"{path}: reading it needs h5py; install it with `pip install h5py`") from error
    if why := why_no_file(path):
        raise CorpusError(f"{path}: {why}; put the labels of the CMU Multimodal SDK there")
    try:
        with h5py.File(path, "r") as csd:
            sequence = csd[next(iter(csd))]
            described = sequence["metadata"]["dimension names"][()]
            names = json.loads(described if isinstance(described, bytes) else described.flat[0])
            for video in sorted(sequence["data"]):
                group = sequence["data"][video]
                if group["intervals"].size + group["features"].size > _MOST_VALUES:
                    raise ValueError(f"{video} has more than {_MOST_VALUES} values")
                rows = zip(group["intervals"][()].tolist(), group["features"][()].tolist(), strict=True)
                for index, ((start, end), values) in enumerate(rows):
                    scores = dict(zip(names, values, strict=True))
                    emotions = {_EMOTIONS[name]: score for name, score in scores.items() if name in _EMOTIONS}
                    yield _Segment(video, str(index), start, end, scores["sentiment"], _strongest(emotions))
    except (
        OSError, RuntimeError, LookupError, StopIteration, AttributeError, TypeError, ValueError, ArithmeticError,
        MemoryError,
    ) as error:  # fmt: skip  # whatever h5py makes of a damaged file
        raise CorpusError(f"{path}: not the labels of the CMU Multimodal SDK ({error}); fetch it again") from error


def _read_derived(path: Path, name: str, rejected: list[Rejected]) -> Iterator[_Segment]:
    """Read the table of rounded labels; its emotion column is ambiguous (ties are called happy) and not used.

    ``label7`` is the sentiment rounded away from zero, ``label2b`` the sign that it had before (s3prl's
    ``convert_label.py``): 1/3 stands as 1, and 0 is neutral alone. A line whose two labels differ in sign is not used.
    """
    rows = read_rows(path, any_encoding=True)
    missing = {"file", "index", "start", "end", "label2b", "label7"} - set(rows.header)
    if missing:
        raise CorpusError(f"{path}: no column {', '.join(sorted(missing))}; fetch the file again")
    for line, row in rows.by_name():
        try:
            start, end, sign, rounded = (number(row[column]) for column in ("start", "end", "label2b", "label7"))
        except ValueError:
            rejected.append(Rejected("", name, f"{name}:{line}: not a label line"))
            continue
        if (rounded > 0) - (rounded < 0) != sign:
            reason = f"{name}:{line}: label7 {rounded:g} has not the sign of label2b {sign:g}"
            rejected.append(Rejected(f"{row['file']}_{row['index']}", name, reason))
            continue
        yield _Segment(row["file"], row["index"], start, end, rounded, None)


def _read_answers(
    files: list[Path], root: Path, rejected: list[Rejected]
) -> dict[tuple[str, str], dict[str, tuple[float, ...]]]:
    """Read the crowd's answers by (video, clip) and worker; a worker who answers twice counts once."""
    answers: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {}
    for path in files:
        name = path.relative_to(root).as_posix()
        try:
            rows = read_rows(path, any_encoding=True)
        except CorpusError as error:
            rejected.append(Rejected("", name, str(error)))
            continue
        wanted = {"Input.VIDEO_ID", "Input.CLIP", "WorkerId", *(f"Answer.{answer}" for answer in _ANSWERS)}
        missing = wanted - set(rows.header)
        if missing:
            raise CorpusError(f"{path}: no column {', '.join(sorted(missing))}; keep only label files in its folder")
        for line, row in rows.by_name():
            try:
                given = tuple(number(row[f"Answer.{answer}"]) for answer in _ANSWERS)
            except ValueError:
                rejected.append(Rejected("", name, f"{name}:{line}: not a line of answers", lost=False))
                continue
            clip = row["Input.VIDEO_ID"], row["Input.CLIP"]
            answers.setdefault(clip, {}).setdefault(row["WorkerId"], given)
    return answers


def _read_raw(
    files: list[Path], root: Path, transcripts: Mapping[str, list[_Transcribed]], rejected: list[Rejected]
) -> Iterator[_Segment]:
    """Average the crowd's answers; start and end of a clip stand in the transcripts only."""
    times = {(video, entry.clip): (entry.start, entry.end) for video, all_ in transcripts.items() for entry in all_}
    for (video, clip), workers in _read_answers(files, root, rejected).items():
        if (video, clip) not in times:
            reason = f"labelled, but {_TRANSCRIPTS.as_posix()} has no start and end of this clip"
            rejected.append(Rejected(f"{video}_{clip}", (_TRANSCRIPTS / f"{video}.txt").as_posix(), reason))
            continue
        means = dict(
            zip(_ANSWERS, (math.fsum(a) / len(workers) for a in zip(*workers.values(), strict=True)), strict=True)
        )
        sentiment = means.pop("sentiment")
        yield _Segment(video, clip, *times[video, clip], sentiment, _strongest(means))


def _read_transcripts(folder: Path, root: Path, rejected: list[Rejected]) -> dict[str, list[_Transcribed]]:
    """Read ``video___clip___start___end___text`` lines; the file's name says where the video's id ends."""
    transcripts: dict[str, list[_Transcribed]] = {}
    for path in text_files(root, folder, ".txt", rejected.append):
        name = path.relative_to(root).as_posix()
        try:
            lines = read_lines(path)
        except CorpusError as error:
            rejected.append(Rejected("", name, str(error), lost=False))
            continue
        for place, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            parts = re.split("_{3,}", line.removeprefix(path.stem).lstrip("_"), maxsplit=3)
            try:
                clip, start, end, text = parts
                entry = _Transcribed(clip, number(start), number(end), text.strip())
            except ValueError:
                reason = f"{name}:{place}: not video___clip___start___end___text"
                rejected.append(Rejected("", name, reason, lost=False))
                continue
            transcripts.setdefault(path.stem, []).append(entry)
    return transcripts


def _segments(
    root: Path, raw: Path, transcripts: Mapping[str, list[_Transcribed]], rejected: list[Rejected]
) -> list[_Segment]:
    folders = (root, raw, raw / "Labels")
    for folder in folders:
        if os.path.lexists(folder / _CSD):
            return list(_read_csd(folder / _CSD))
    for folder in folders:
        if os.path.lexists(folder / _DERIVED):
            path = folder / _DERIVED
            return list(_read_derived(path, path.relative_to(root).as_posix(), rejected))
    answers = text_files(root, raw / "Labels", ".csv", rejected.append)
    if answers:
        return list(_read_raw(answers, root, transcripts, rejected))
    raise CorpusError(
        f"CMU-MOSEI: no labels: looked for {_CSD} and {_DERIVED} in {root}, {raw} and {raw / 'Labels'}, "
        f"and for crowd answers in {raw / 'Labels'}/*.csv; put one of them there"
        f"{closed_folders(rejected)}"
    )


def _turns(segments: list[_Segment]) -> dict[str, int]:
    """Return each segment's place in its video, by start time."""
    videos: dict[str, list[_Segment]] = {}
    for segment in segments:
        videos.setdefault(segment.video, []).append(segment)
    return {
        segment.id: turn
        for members in videos.values()
        for turn, segment in enumerate(sorted(members, key=lambda s: (s.start, s.end, s.id)))
    }


class Mosei(Corpus):
    """``Raw/Audio/Full/WAV_16000/<video>.wav`` cut by the labels' start and end.

    Labels come from the first of these that is there: ``CMU_MOSEI_Labels.csd`` (sentiment in [-3, 3]);
    ``CMU_MOSEI_Labels.csv`` (sentiment rounded to whole numbers away from zero, its sign kept); the crowd's answers
    in ``Raw/Labels/*.csv``, averaged over workers. An utterance is ``<video>_<index>``, its dialogue and its speaker
    are the video. ``emotion`` is the strongest of the six where there is one alone. Text comes from
    ``Raw/Transcript/Segmented/Combined`` where start and end are the same to the millisecond.
    """

    info = CorpusInfo(
        title="CMU-MOSEI",
        n_utterances=23_259,
        language="en",
        licence="CMU-MOSEI's own, research only",
        address="http://immortal.multicomp.cs.cmu.edu",
        reads=(*AUDIO_FILES, "*.csd", "*.csv", "*.txt"),
        turns=True,
    )

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the labels under ``root``, the folder that holds ``Raw`` (or ``Raw`` itself); there are no options."""
        refuse_options(options)
        raw = root / "Raw" if is_folder(root / "Raw") else root
        if not is_folder(raw / _AUDIO):
            raise CorpusError(
                f"{self.info.title}: no folder {_AUDIO.as_posix()} in {raw} ({why_no_file(raw / _AUDIO)}); "
                "point root at the folder that holds Raw"
            )
        audio = index_audio(root, (raw / _AUDIO).relative_to(root))
        listing = Listing()
        transcripts = _read_transcripts(raw / _TRANSCRIPTS, root, listing.rejected)
        segments = _segments(root, raw, transcripts, listing.rejected)
        texts = {
            (video, _milliseconds(entry.start), _milliseconds(entry.end)): entry.text
            for video, entries in transcripts.items()
            for entry in entries
        }
        turns = _turns([segment for segment in segments if segment.fault is None])
        for segment in segments:
            path = audio.paths.get(segment.video)
            expected = str(path or f"{(raw / _AUDIO).relative_to(root).as_posix()}/{segment.video}.wav")
            if segment.fault:
                listing.rejected.append(Rejected(segment.id, expected, segment.fault))
                continue
            if path is None:
                reason = "labelled, but there is no audio file of this video"
                listing.rejected.append(audio.missing(segment.video, segment.id, expected, reason))
                continue
            listing.utterances.append(
                Utterance(
                    id=segment.id,
                    path=path.as_posix(),
                    speaker=segment.video,
                    language="en",
                    start=segment.start,
                    end=segment.end,
                    dialogue=segment.video,
                    turn=turns[segment.id],
                    text=texts.get((segment.video, *segment.time)),
                    emotion=segment.emotion,
                    sentiment=segment.sentiment,
                )
            )
        listing.rejected += audio.unused({segment.video for segment in segments}, "audio without a usable label")
        return listing


CORPUS = Mosei()
