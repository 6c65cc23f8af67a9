"""CREMA-D (Cao et al., IEEE Transactions on Affective Computing 2014): read English sentences."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from serflow.corpora._audio_files import find_file
from serflow.corpora._file_names import list_by_name
from serflow.corpora.base import AUDIO_FILES, Corpus, CorpusInfo, Count, Listing, Utterance, refuse_options, some
from serflow.errors import CorpusError
from serflow.label_files import read_rows

_STEM = re.compile(
    r"(?P<speaker>10\d\d)_(?P<sentence>IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI)"
    r"_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<intensity>LO|MD|HI|XX|X)"
)
_EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
}  # fmt: skip
_INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
_DEMOGRAPHICS = "VideoDemographics.csv"
_GENDERS = {"Female": "female", "Male": "male"}


def _utterance(match: re.Match[str], path: str) -> Utterance:
    return Utterance(
        id=re.sub("_X$", "_XX", match.string),
        path=path,
        speaker=match["speaker"],
        language="en",
        style="read",
        sentence=match["sentence"],
        emotion=_EMOTIONS[match["emotion"]],
        intensity=_INTENSITIES[match["intensity"]],
    )


def _read_genders(table: Path) -> dict[str, str | None]:
    rows = read_rows(table, any_encoding=True)
    if not {"ActorID", "Sex"} <= set(rows.header):
        raise CorpusError(f"{table}: no columns ActorID and Sex; take the file from the publisher's repository")
    return {row["ActorID"]: _GENDERS.get(row["Sex"]) for _, row in rows.by_name()}


class CremaD(Corpus):
    """``AudioWAV/1001_DFA_ANG_XX.wav``; gender from ``VideoDemographics.csv`` where that file is there.

    Older copies name one file ``1040_ITH_SAD_X``: it is given its present id, ``1040_ITH_SAD_XX``.
    """

    info = CorpusInfo(
        title="CREMA-D",
        n_utterances=7442,
        language="en",
        licence="ODbL 1.0 and DbCL 1.0",
        address="https://github.com/CheyneyComputerScience/CREMA-D",
        reads=(*AUDIO_FILES, f"*{_DEMOGRAPHICS}"),
        published=(
            Count(
                "emotion",
                {
                    "anger": 1271, "disgust": 1271, "fear": 1271,
                    "happiness": 1271, "neutral": 1087, "sadness": 1271,
                },
            ),
            Count("intensity", {"unspecified": 6077, "low": 455, "medium": 455, "high": 455}),
        ),
    )  # fmt: skip

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the names of the audio under ``root`` and the genders; the corpus has no options."""
        refuse_options(options)
        listing = list_by_name(root, self.info.title, _STEM, "1001_DFA_ANG_XX.wav", _utterance)
        table = find_file(root, (_DEMOGRAPHICS,))
        genders = {} if table is None else _read_genders(table)
        listing.utterances = [
            replace(utterance, gender=genders.get(utterance.speaker)) for utterance in listing.utterances
        ]
        if unknown := sorted({entry.speaker for entry in listing.utterances if table and entry.gender is None}):
            listing.notes.append(f"{table}: has no gender of {len(unknown)} speakers: {some(unknown)}; it is absent")
        return listing


CORPUS = CremaD()
