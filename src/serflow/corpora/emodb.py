"""EmoDB, the Berlin Database of Emotional Speech (Burkhardt et al., Interspeech 2005): read German sentences."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serflow.corpora._file_names import list_by_name
from serflow.corpora.base import AUDIO_FILES, Corpus, CorpusInfo, Count, Listing, Utterance, refuse_options

_STEM = re.compile(r"(?P<speaker>03|08|09|1[0-6])(?P<sentence>[ab]\d\d)(?P<emotion>[WLEAFTN])[a-f]")
_EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
_MALE = frozenset({"03", "10", "11", "12", "15"})


def _utterance(match: re.Match[str], path: str) -> Utterance:
    speaker = match["speaker"]
    return Utterance(
        id=match.string,
        path=path,
        speaker=speaker,
        language="de",
        gender="male" if speaker in _MALE else "female",
        style="read",
        sentence=match["sentence"],
        emotion=_EMOTIONS[match["emotion"]],
    )


class EmoDB(Corpus):
    """``wav/03a01Fa.wav``: speaker, sentence, emotion and version in the name."""

    info = CorpusInfo(
        title="EmoDB",
        n_utterances=535,
        language="de",
        licence="CC BY 4.0 (Zenodo record 7447302)",
        address="https://zenodo.org/records/7447302",
        reads=AUDIO_FILES,
        published=(
            Count(
                "speaker",
                {
                    "03": 49, "08": 58, "09": 43, "10": 38, "11": 55,
                    "12": 35, "13": 61, "14": 69, "15": 56, "16": 71,
                },
            ),
            Count(
                "emotion",
                {
                    "anger": 127, "boredom": 81, "disgust": 46, "fear": 69,
                    "happiness": 71, "sadness": 62, "neutral": 79,
                },
            ),
            Count(
                "sentence",
                {
                    "a01": 49, "a02": 60, "a04": 51, "a05": 62, "a07": 55,
                    "b01": 51, "b02": 51, "b03": 52, "b09": 52, "b10": 52,
                },
            ),
        ),
    )  # fmt: skip

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the names of the audio under ``root``; the corpus has no options."""
        refuse_options(options)
        return list_by_name(root, self.info.title, _STEM, "03a01Fa.wav", _utterance)


CORPUS = EmoDB()
