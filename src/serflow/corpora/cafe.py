"""CaFE, the Canadian French Emotional dataset (Gournay et al., MMSys 2018): read sentences."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serflow.corpora._file_names import list_by_name
from serflow.corpora.base import AUDIO_FILES, Corpus, CorpusInfo, Count, Listing, Utterance, refuse_options

_STEM = re.compile(r"(?P<speaker>0[1-9]|1[0-2])-(?P<emotion>[CDJNPST])-(?P<intensity>[12])-(?P<sentence>[1-6])")
_EMOTIONS = {
    "C": "anger", "D": "disgust", "J": "happiness", "N": "neutral", "P": "fear", "S": "surprise", "T": "sadness",
}  # fmt: skip
_INTENSITIES = {"1": "weak", "2": "strong"}


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker, emotion = match["speaker"], _EMOTIONS[match["emotion"]]
    return Utterance(
        id=match.string,
        path=path,
        speaker=speaker,
        language="fr",
        gender="male" if int(speaker) % 2 else "female",
        style="read",
        sentence=match["sentence"],
        emotion=emotion,
        intensity=None if emotion == "neutral" else _INTENSITIES[match["intensity"]],
    )


class CaFE(Corpus):
    """``Joie/Fort/01-J-2-1.wav``; folder names are damaged by many unzip tools, so only the file name counts."""

    info = CorpusInfo(
        title="CaFE",
        n_utterances=936,
        language="fr",
        licence="CC BY-NC-SA 4.0",
        address="https://zenodo.org/records/1478765",
        reads=AUDIO_FILES,
        published=(
            Count("speaker", {f"{speaker:02d}": 78 for speaker in range(1, 13)}),
            Count(
                "emotion",
                {
                    "anger": 144, "disgust": 144, "happiness": 144, "neutral": 72,
                    "fear": 144, "surprise": 144, "sadness": 144,
                },
            ),
            Count("intensity", {"weak": 432, "strong": 432}, complete=False),
        ),
    )  # fmt: skip

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the names of the audio under ``root`` (the 48 kHz release); the corpus has no options."""
        refuse_options(options)
        return list_by_name(root, self.info.title, _STEM, "01-J-2-1.wav", _utterance)


CORPUS = CaFE()
