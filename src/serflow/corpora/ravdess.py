"""RAVDESS, speech part, audio only (Livingstone and Russo, PLoS ONE 2018): read English sentences."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serflow.corpora._file_names import list_by_name
from serflow.corpora.base import AUDIO_FILES, Corpus, CorpusInfo, Count, Listing, Utterance, refuse_options

_STEM = re.compile(
    r"03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<sentence>0[12])-0[12]-(?P<speaker>0[1-9]|1\d|2[0-4])"
)
_EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happiness", "04": "sadness",
    "05": "anger", "06": "fear", "07": "disgust", "08": "surprise",
}  # fmt: skip
_INTENSITIES = {"01": "normal", "02": "strong"}


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker = match["speaker"]
    return Utterance(
        id=match.string,
        path=path,
        speaker=speaker,
        language="en",
        gender="male" if int(speaker) % 2 else "female",
        style="read",
        sentence=match["sentence"],
        emotion=_EMOTIONS[match["emotion"]],
        intensity=_INTENSITIES[match["intensity"]],
    )


class Ravdess(Corpus):
    """``Actor_01/03-01-05-02-01-01-01.wav``; song (03-02) and video (01, 02) are not part of the corpus."""

    info = CorpusInfo(
        title="RAVDESS",
        n_utterances=1440,
        language="en",
        licence="CC BY-NC-SA 4.0",
        address="https://zenodo.org/records/1188976",
        reads=AUDIO_FILES,
        published=(
            Count("speaker", {f"{speaker:02d}": 60 for speaker in range(1, 25)}),
            Count(
                "emotion",
                {
                    "neutral": 96, "calm": 192, "happiness": 192, "sadness": 192,
                    "anger": 192, "fear": 192, "disgust": 192, "surprise": 192,
                },
            ),
        ),
    )  # fmt: skip

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the names of the audio under ``root``; the corpus has no options."""
        refuse_options(options)
        return list_by_name(root, self.info.title, _STEM, "03-01-05-02-01-01-01.wav", _utterance)


CORPUS = Ravdess()
