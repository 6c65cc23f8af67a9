"""A stand-in for CMU-MOSEI: videos of one speaker each, cut into clips by the transcripts, with crowd labels."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from serflow.files import write_text
from serflow.synthetic.corpus import Options, Studio, episodes, write_wav
from serflow.synthetic.scripts import ENGLISH

SAMPLE_RATE = 16000
CLIPS = 7
WORKERS = 3
DIMENSIONS = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")
_CROWD = ("sentiment", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
_CROWD_DIMENSION = {"happiness": "happy", "sadness": "sad"}
_SIX = ("happy", "sad", "anger", "surprise", "disgust", "fear")
_BACKGROUND = 26.0  # standard deviation between the clips, in 16-bit steps (-62 dB)
_LETTERS = list("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")


@dataclass(frozen=True, slots=True)
class _Clip:
    video: str
    number: int
    start: float
    end: float
    text: str
    answers: NDArray[np.int64]  # (workers, dimensions)

    @property
    def labels(self) -> NDArray[np.float64]:
        """Mean answers, in the order of ``DIMENSIONS``."""
        return np.asarray(self.answers.mean(axis=0))


def _video_name(studio: Studio, index: int) -> str:
    """Return eleven characters with ``_`` and ``-`` among them, as the video ids have."""
    letters = "".join(studio.random("video", index).choice(_LETTERS, 9))
    return f"{letters[:5]}_{letters[5:7]}-{letters[7:]}"


def _answers(emotion: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the answers of the workers to each dimension: sentiment -3 to 3, emotions 0 to 3."""
    answers = np.zeros((WORKERS, len(DIMENSIONS)), dtype=np.int64)
    if emotion == "neutral":
        return answers
    answers[:, 0] = rng.integers(1, 4, WORKERS) * (1 if emotion == "happiness" else -1)
    felt = {"happiness": "happy", "sadness": "sad", "anger": "anger"}[emotion]
    answers[:, DIMENSIONS.index(felt)] = rng.integers(1, 4, WORKERS)
    answers[0, DIMENSIONS.index(str(rng.choice(_SIX)))] |= 1
    return answers


def _course(studio: Studio, video: str, deck: list[str]) -> list[str]:
    """Return the emotions of a video's clips; negative sentiment is sadness or anger, the same within an episode."""
    rng = studio.random("negative", video)
    course: list[str] = []
    for i, sentiment in enumerate(deck):
        if i and sentiment == deck[i - 1]:
            course.append(course[-1])
        elif sentiment == "negative":
            course.append("sadness" if rng.random() < 0.5 else "anger")
        else:
            course.append("happiness" if sentiment == "positive" else "neutral")
    return course


def _film(
    studio: Studio, video: str, course: list[str], samples: list[NDArray[np.int16]], texts: list[str]
) -> tuple[NDArray[np.int16], list[_Clip]]:
    """Join the clips of a video, with pauses between them; clips start and end on whole ms."""
    rng = studio.random("film", video)
    per_ms = SAMPLE_RATE // 1000
    parts: list[NDArray[np.int16]] = []
    clips = []
    position = 0
    for number, (emotion, speech) in enumerate(zip(course, samples, strict=True)):
        pause = int(rng.integers(300, 1500)) * per_ms
        speech = speech[: speech.size // per_ms * per_ms]
        parts += [np.round(rng.normal(0.0, _BACKGROUND, pause)).astype(np.int16), speech]
        start, position = position + pause, position + pause + speech.size
        answers = _answers(emotion, studio.random("answers", video, number))
        times = round(start / SAMPLE_RATE, 3), round(position / SAMPLE_RATE, 3)
        clips.append(_Clip(video, number, *times, texts[number], answers))
    parts.append(np.round(rng.normal(0.0, _BACKGROUND, SAMPLE_RATE // 2)).astype(np.int16))
    return np.concatenate(parts), clips


def _write_csd(path: Path, videos: dict[str, list[_Clip]]) -> None:
    """Write the labels as the computational sequence that the SDK distributes."""
    with h5py.File(path, "w") as file:
        sequence = file.create_group("All Labels")
        for video, clips in videos.items():
            group = sequence.create_group(f"data/{video}")
            group.create_dataset("features", data=np.array([clip.labels for clip in clips], dtype=np.float32))
            group.create_dataset("intervals", data=np.array([(clip.start, clip.end) for clip in clips]))
        metadata = {
            "root name": "All Labels",
            "computational sequence description": "Synthetic stand-in for the labels of CMU-MOSEI",
            "dimension names": list(DIMENSIONS),
            "computational sequence version": "1.0",
        }
        for key, value in metadata.items():
            text = sequence.create_dataset(f"metadata/{key}", (1,), dtype=h5py.string_dtype())
            text[0] = json.dumps(value)


def _write_csv(path: Path, rows: list[list[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def _derived_row(number: int, clip: _Clip, split: int) -> list[object]:
    sentiment = float(clip.labels[0])
    strongest = int(np.argmax(clip.labels[1:]))
    sign = int(np.sign(sentiment))
    rounded = sign * int(np.ceil(abs(sentiment)))
    times = [clip.start, clip.end]
    return [number, clip.video, clip.number, *times, int(sentiment >= 0), sign, strongest, rounded, split]


def _crowd_rows(clip: _Clip) -> list[list[object]]:
    columns = [DIMENSIONS.index(_CROWD_DIMENSION.get(name, name)) for name in _CROWD]
    return [
        [clip.video, clip.number, f"WORKER{worker + 1}", *clip.answers[worker, columns].tolist()]
        for worker in range(WORKERS)
    ]


def _write_labels(root: Path, videos: dict[str, list[_Clip]]) -> None:
    _write_csd(root / "CMU_MOSEI_Labels.csd", videos)
    derived: list[list[object]] = [
        ["", "file", "index", "start", "end", "label2a", "label2b", "label6", "label7", "split"]
    ]
    crowd: list[list[object]] = [
        ["Input.VIDEO_ID", "Input.CLIP", "WorkerId", *(f"Answer.{name}" for name in _CROWD)],
    ]
    for index, (video, clips) in enumerate(videos.items()):
        split = (0, 0, 0, 0, 0, 0, 0, 1, 2, 2)[index % 10]
        derived += [_derived_row(len(derived) - 1 + i, clip, split) for i, clip in enumerate(clips)]
        crowd += [row for clip in clips for row in _crowd_rows(clip)]
        lines = [f"{video}___{clip.number}___{clip.start}___{clip.end}___{clip.text}\n" for clip in clips]
        write_text(root / "Raw" / "Transcript" / "Segmented" / "Combined" / f"{video}.txt", "".join(lines))
    _write_csv(root / "CMU_MOSEI_Labels.csv", derived)
    _write_csv(root / "Raw" / "Labels" / "crowd_answers.csv", crowd)


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of clips."""
    studio = Studio("mosei", "en", SAMPLE_RATE, options)
    n_videos = max(2, round(options.utterances / CLIPS))
    names = [_video_name(studio, index) for index in range(n_videos)]
    decks = episodes(("negative", "neutral", "positive"), n_videos, CLIPS, studio.random("episodes"))
    courses = {name: _course(studio, name, deck) for name, deck in zip(names, decks, strict=True)}
    texts = {
        name: [
            studio.words(f"{name}/{number}", emotion, text)
            for number, (emotion, text) in enumerate(
                zip(courses[name], studio.random("texts", name).permutation(ENGLISH).tolist(), strict=False)
            )
        ]
        for name in names
    }
    renderings = []
    for index, (name, course) in enumerate(courses.items()):
        speaker = studio.speaker(name, "female" if index % 2 else "male", index // 2)
        for number, emotion in enumerate(course):
            renderings.append(studio.say(f"{name}/{number}", speaker, emotion, texts[name][number]))
    speech = studio.speak(renderings)
    videos = {}
    for name, course in courses.items():
        film, videos[name] = _film(studio, name, course, [next(speech) for _ in course], texts[name])
        write_wav(root / "Raw" / "Audio" / "Full" / "WAV_16000" / f"{name}.wav", film, SAMPLE_RATE)
    _write_labels(root, videos)
    return len(renderings)
