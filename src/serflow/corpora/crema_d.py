"""CREMA-D (Cao et al., IEEE Transactions on Affective Computing 2014): read English sentences."""

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from serflow.corpora._audio_files import find_file, read_lines, require_folder
from serflow.corpora._file_names import list_by_name
from serflow.corpora.base import AUDIO_FILES, CorpusInfo, Count, Listing, Utterance, refuse_options
from serflow.errors import CorpusError

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
    rows = csv.DictReader(read_lines(table))
    if not {"ActorID", "Sex"} <= set(rows.fieldnames or ()):
        raise CorpusError(f"{table}: no columns ActorID and Sex; take the file from the publisher's repository")
    return {row["ActorID"].strip(): _GENDERS.get((row["Sex"] or "").strip()) for row in rows}


class CremaD:
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

    def list(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """List the corpus under ``root``; it has no options."""
        refuse_options(options)
        require_folder(root, self.info.title)
        listing = list_by_name(root, self.info.title, _STEM, "1001_DFA_ANG_XX.wav", _utterance)
        table = find_file(root, (_DEMOGRAPHICS,))
        genders = {} if table is None else _read_genders(table)
        listing.utterances = [
            replace(utterance, gender=genders.get(utterance.speaker)) for utterance in listing.utterances
        ]
        return listing


CORPUS = CremaD()
