"""Corpora with planted faults, in a working folder of their own."""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
import yaml
from typer.testing import CliRunner

from serflow.cli import app
from serflow.stages import accept_utterances, list_utterances, prepare_audio

RATE_HZ = 16_000
SPEAKERS = {"s1": "female", "s2": "male", "s3": "female"}
EMOTIONS = ("anger", "neutral", "sadness", "happiness")
NAMES = [f"{speaker}_{emotion}" for speaker in SPEAKERS for emotion in EMOTIONS]
OPTIONS = {"table": "labels.csv", "audio": "wav/{file}", "published": {"total": len(NAMES)}}


def noise(seed: int, seconds: float = 0.2, rate: int = RATE_HZ) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * rate))


def wav(path: Path, samples: np.ndarray, rate: int = RATE_HZ, subtype: str = "PCM_16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype, format=path.suffix[1:].upper())


class Place:
    """A working folder, a corpus ``mine`` of twelve utterances in it, and what ``serflow doctor`` says there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "mine"
        self.config = {
            "corpora": {"mine": {"layout": "table", "root": "mine", "options": OPTIONS}},
            "dlc": {"corpora": ["mine"], "methods": ["single"]},
        }
        self.rows = {
            name: {"file": f"{name}.wav", "speaker": name[:2], "gender": SPEAKERS[name[:2]], "emotion": name[3:]}
            for name in NAMES
        }
        for seed, name in enumerate(NAMES):
            wav(self.audio(name), noise(seed))
        self.write_labels()

    def audio(self, name: str) -> Path:
        return self.root / "wav" / f"{name}.wav"

    def write_labels(self) -> None:
        lines = ["file,speaker,gender,emotion", *(",".join(row.values()) for row in self.rows.values())]
        (self.root / "labels.csv").write_text("\n".join(lines) + "\n")

    def doctor(self, *arguments: str, status: int = 0) -> dict[str, list[tuple[str, str, list[str]]]]:
        """Return mark, sentence and steps of each finding, by name; ``status`` is what the command leaves with."""
        found = json.loads(self.say(*arguments, "--json", status=status))
        assert (found["wrong"] > 0) == (status == 1)
        return {
            one["name"]: [(each["mark"], each["said"], each["steps"]) for each in one["findings"]]
            for one in found["found"]
        }

    def say(self, *arguments: str, status: int = 0) -> str:
        """Return what the command prints."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        result = CliRunner().invoke(app, ["doctor", *arguments])
        assert result.exit_code == status, result.output
        return result.stdout

    def mine(self, *arguments: str, status: int = 0) -> list[tuple[str, str, list[str]]]:
        return self.doctor("mine", *arguments, status=status)["mine"]

    def run_stages(self, n_shards: int = 2, *, recorded: bool = True) -> None:
        """Do what a run does with the corpus, up to its utterance table; without a record nobody knows what was read.

        Raises
        ------
        SerflowError
            If a stage stops.
        """
        settings = self.config["corpora"]["mine"] | {"shards": n_shards}
        self.config["corpora"]["mine"] = settings
        partial, most = settings.get("allow_partial", False), settings.get("max_rejected", 0.1)
        corpora, audio = Path("results/corpora/mine"), Path("results/audio/mine")
        record = corpora / "files.json"
        listing = argparse.Namespace(
            corpus="mine", layout="table", root=Path("mine"), options=OPTIONS, files=record if recorded else None,
            title=None, language=None, synthetic=False, allow_partial=partial, listing=corpora / "listing.parquet",
            rejected=corpora / "listing_rejected.csv",
        )  # fmt: skip
        list_utterances.main(listing)
        shards = [audio / f"{shard:04d}.parquet" for shard in range(n_shards)]
        rejected = [path.with_name(f"{path.stem}_rejected.csv") for path in shards]
        for path, left in zip(shards, rejected, strict=True):
            limits = {"min_duration_s": 0.1, "max_duration_s": 10800.0}
            prepare_audio.main(
                argparse.Namespace(
                    listing=listing.listing, root=Path("mine"), shard=path.stem, n_shards=n_shards, options=limits,
                    audio=path, rejected=left,
                )
            )  # fmt: skip
        accept_utterances.main(
            argparse.Namespace(
                listing=listing.listing, listing_rejected=listing.rejected, audio=shards, audio_rejected=rejected,
                max_rejected=most, allow_partial=partial, same_audio="keep", utterances=corpora / "utterances.parquet",
                rejected=corpora / "rejected.csv", duplicates=corpora / "duplicates.csv",
            )
        )  # fmt: skip


def told(findings: list[tuple[str, str, list[str]]], words: str) -> tuple[str, str, list[str]]:
    """Return the one finding that has some words in it."""
    (found,) = [each for each in findings if words in each[1]]
    return found


def rows_of(place: Place, title: str, *arguments: str, status: int = 0) -> list[list[object]]:
    """Return the rows of a table of details of the corpus; none where there is no such table."""
    found = json.loads(place.say("mine", *arguments, "--json", status=status))
    tables = [table for one in found["found"] for table in one["tables"] if table["title"] == f"mine: {title}"]
    return [row for table in tables for row in table["rows"]]
