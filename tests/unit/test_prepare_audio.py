import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from serflow.audio.prepared import iterate_prepared
from serflow.errors import CorpusError, SerflowError
from serflow.stages import prepare_audio
from serflow.stores.parquet import read_metadata, write_table

OPTIONS = {"min_duration_s": 0.1}


def make_corpus(folder: Path, n_utterances: int) -> tuple[Path, Path]:
    root = folder / "corpus"
    root.mkdir()
    rows: list[dict[str, Any]] = []
    for i in range(n_utterances):
        soundfile.write(root / f"u{i}.wav", np.random.default_rng(i).uniform(-0.5, 0.5, 8000), 16000)
        rows.append({"utterance": f"u{i}", "path": f"u{i}.wav", "start": None, "end": None, "speaker": "s"})
    listing = folder / "listing.parquet"
    write_listing(listing, rows)
    return listing, root


def write_listing(path: Path, rows: list[dict[str, Any]]) -> None:
    schema = pa.schema(
        [("utterance", pa.string()), ("path", pa.string()), ("start", pa.float64()), ("end", pa.float64())]
    )
    write_table(
        path, pa.Table.from_pylist(rows, schema=schema), kind="listing", metadata={"corpus": "toy", "synthetic": False}
    )


def run(folder: Path, listing: Path, root: Path, shard: str = "0000", n_shards: int = 1, **changes: Any) -> Path:
    arguments = argparse.Namespace(
        listing=listing,
        root=root,
        shard=shard,
        n_shards=n_shards,
        options=OPTIONS,
        audio=folder / f"{shard}.parquet",
        rejected=folder / f"{shard}_rejected.csv",
    )
    vars(arguments).update(changes)
    prepare_audio.main(arguments)
    return folder / f"{shard}.parquet"


def rejected(folder: Path, shard: str = "0000") -> list[dict[str, str]]:
    with open(folder / f"{shard}_rejected.csv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_shards_deal_the_utterances_out_in_order(tmp_path: Path) -> None:
    listing, root = make_corpus(tmp_path, 10)
    shards = [run(tmp_path, listing, root, f"{k:04d}", 4) for k in range(4)]
    found = [[item.utterance for item in iterate_prepared(shard)] for shard in shards]
    assert found == [["u0", "u1", "u2"], ["u3", "u4"], ["u5", "u6", "u7"], ["u8", "u9"]]


def test_bad_files_are_rejected_with_their_reasons(tmp_path: Path) -> None:
    listing, root = make_corpus(tmp_path, 5)
    (root / "u1.wav").write_text("text")
    (root / "u2.wav").unlink()
    (root / "u3.wav").write_bytes((root / "u3.wav").read_bytes()[:-100])
    shard = run(tmp_path, listing, root)
    assert [item.utterance for item in iterate_prepared(shard)] == ["u0", "u4"]
    assert [(row["utterance"], row["path"]) for row in rejected(tmp_path)] == [
        (name, f"{name}.wav") for name in ("u1", "u2", "u3")
    ]
    assert [row["reason"].split()[0] for row in rejected(tmp_path)] == ["not", "no", "truncated:"]


def test_shard_without_usable_utterances_is_legal(tmp_path: Path) -> None:
    listing, root = make_corpus(tmp_path, 1)
    (root / "u0.wav").unlink()
    assert list(iterate_prepared(run(tmp_path, listing, root))) == []
    assert len(rejected(tmp_path)) == 1
    assert list(iterate_prepared(run(tmp_path, listing, root, "0001", 2))) == []
    assert rejected(tmp_path, "0001") == []


def test_cut_utterances_share_a_file(tmp_path: Path) -> None:
    listing, root = make_corpus(tmp_path, 1)
    cuts = [(0.0, 0.2), (0.2, 0.45), (0.4, 0.9)]
    rows = [{"utterance": f"c{i}", "path": "u0.wav", "start": a, "end": b} for i, (a, b) in enumerate(cuts)]
    write_listing(listing, rows)
    assert [len(item.pcm16) for item in iterate_prepared(run(tmp_path, listing, root))] == [3200, 4000]
    assert "lies outside the file" in rejected(tmp_path)[0]["reason"]


def test_programming_errors_surface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing, root = make_corpus(tmp_path, 1)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(prepare_audio, "prepare", broken)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, listing, root)
    assert not (tmp_path / "0000.parquet").exists()


def test_same_audio_gives_the_same_bytes_and_other_files_another_source_digest(tmp_path: Path) -> None:
    listing, root = make_corpus(tmp_path, 3)
    path = run(tmp_path, listing, root)
    first, sources = path.read_bytes(), read_metadata(path)["sources"]
    assert run(tmp_path, listing, root).read_bytes() == first
    soundfile.write(root / "u1.wav", np.random.default_rng(9).uniform(-0.5, 0.5, 9000), 16000)
    assert read_metadata(run(tmp_path, listing, root))["sources"] != sources


def test_wrong_calls_are_explained(tmp_path: Path) -> None:
    listing, root = make_corpus(tmp_path, 1)
    with pytest.raises(CorpusError, match=r"corpora\.toy\.root in config\.yaml"):
        run(tmp_path, listing, tmp_path / "nowhere")
    with pytest.raises(SerflowError, match="there are 2 shards"):
        run(tmp_path, listing, root, "0002", 2)
    with pytest.raises(SerflowError, match="give min_duration_s"):
        run(tmp_path, listing, root, options={"min_duration": 1})


def test_real_utterances_pass(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "emodb").rglob("*.flac"))[::50]
    rows = [
        {"utterance": path.stem, "path": str(path.relative_to(real_data)), "start": None, "end": None} for path in paths
    ]
    write_listing(tmp_path / "listing.parquet", rows)
    for item, path in zip(iterate_prepared(run(tmp_path, tmp_path / "listing.parquet", real_data)), paths, strict=True):
        np.testing.assert_array_equal(item.pcm16, soundfile.read(path, dtype="int16")[0])
    assert rejected(tmp_path) == []
