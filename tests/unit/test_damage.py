"""Every artefact that the pages of results and resources list: damage of any sort is noticed by `serflow verify`."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from typer.testing import CliRunner

from made_up_runs import predicted, write_cell
from results_page import Page
from serflow.backbones.weights import describe_files
from serflow.cli import app
from serflow.errors import SerflowError
from serflow.files import digest_path, digested_path, write_csv, write_sealed_json
from serflow.inspection.damage import _PLACES, check_all, find
from serflow.inspection.describe import describe
from serflow.runs.artefacts import RunFiles
from serflow.state import stamps, take_stock
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import check, write_table
from serflow.stores.waveforms import pack_waveforms
from serflow.synthetic.tree import describe_tree, stand_in_tree
from serflow.training.checkpoints import Checkpoint

NO_DIGEST = {"logs/{job}.log", "benchmarks/{job}.tsv"}
NAMES = {
    **{"study": "dlc", "table": "table1", "cell": "exp1/single/toy/h1", "corpus": "toy", "condition": "clean"},
    **{"feature": "mfb", "shard": "0000", "profile": "h1", "protocol": "speaker-0", "recogniser": "deepspeech"},
    **{"utterance": "u1", "optimizer": "adam", "fit": "0_none", "backbone": "byol", "name": "exp1/single/toy/h1"},
    **{"recording": "u1-h1", "version": "clean"},
}
# what is made whatever the page says of it: the other forms of a pattern, and what it rests on
ARRAYS = ("packed/{feature}/{corpus}/{condition}.npy", "packed/audio/{corpus}.npy")
CELL = dict(zip(("experiment", "method", "corpus", "profile"), NAMES["cell"].split("/"), strict=True))


def patterns(repository: Path) -> list[tuple[str, str]]:
    found = [("results", pattern) for pattern in Page(repository / "results/README.md", ["dlc"]).patterns()]
    found += [("resources", pattern) for pattern in Page(repository / "resources/README.md", []).patterns()]
    return [entry for entry in found if entry[1] not in NO_DIGEST]


PATTERNS = patterns(Path(__file__).resolve().parents[2])


def place(folder: Path, top: str, pattern: str) -> Path:
    return folder / top / pattern.format_map(NAMES)


def write_run(folder: Path, cell: dict[str, str]) -> RunFiles:
    rows = [(f"u{i}", np.eye(3)[i % 3].tolist(), (i + i % 2) % 3) for i in range(12)]
    return write_cell(folder, cell, [predicted(rows)], embeddings=True)


def write_runs(folder: Path) -> None:
    files = write_run(folder / "results", CELL)
    Checkpoint(place(folder, "results", "runs/{study}/{cell}/fits/{fit}.pt"), "key").save({"a": torch.arange(99.0)})
    shutil.copytree(files.predictions.parent, place(folder, "results", "versions/{version}/{study}/{cell}"))
    pilot = folder / "results/dlc/pilot/toy/adam"
    shutil.copytree(files.predictions.parent, pilot)
    (pilot / "embeddings.parquet").unlink()
    shutil.rmtree(pilot / "fits")


def write_stores(folder: Path) -> None:
    frames = np.arange(60, dtype=np.float32).reshape(20, 3)
    rows = [FrameRow(f"u{i}", frames[i:]) for i in range(9)]
    metadata = {"feature": "mfb", "corpus": "toy", "condition": "clean", "shard": "0000", "n_shards": 1}
    shard = place(folder, "results", "features/{feature}/{corpus}/{condition}/{shard}.parquet")
    write_frames(shard, rows, 3, metadata)
    packed = place(folder, "results", ARRAYS[0])
    pack_frames([shard], packed, packed.with_suffix(".parquet"))
    audio = place(folder, "results", "audio/{corpus}/{shard}.parquet")
    columns = {"utterance": ["u0", "u1"], "n_samples": pa.array([5, 7], pa.int32()), "pcm16": [bytes(10), bytes(14)]}
    table = pa.table({**columns, "sample_rate": pa.array([16_000] * 2, pa.int32())})
    write_table(audio, table, kind="audio", metadata={**metadata, "options": {}})
    packed = place(folder, "results", ARRAYS[1])
    pack_waveforms([audio], packed, packed.with_suffix(".parquet"))


def write_resources(folder: Path) -> None:
    weights = folder / "resources/weights/byol/stand-in/model.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(range(200)))
    record = describe_files("byol", "path", None, weights)
    said = {name: getattr(record, name) for name in record.__slots__}
    write_sealed_json(place(folder, "resources", "weights/{backbone}.json"), said)
    with stand_in_tree(folder / "resources/synthetic/toy") as tree:
        (tree / "a.wav").write_bytes(bytes(range(99)))
        manifest = describe_tree(tree, "toy", {}, 1)
    write_sealed_json(folder / "resources/synthetic/toy.json", manifest)


def write_rest(folder: Path, top: str, pattern: str) -> None:
    """Write what has no structure that matters here: a table of its kind, or any bytes."""
    path = place(folder, top, pattern)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        (kind,) = [kind for kind, where in _PLACES.items() if where.replace("{name}", "{cell}") == pattern]
        table = pa.table({"utterance": [f"u{i}" for i in range(20)], "value": np.arange(20.0)})
        said = {name: value for name, value in NAMES.items() if name != "backbone"}
        write_table(path, table, kind=kind, metadata={**said, "content": content(folder)})
    elif path.suffix == ".csv":
        write_csv(path, ["utterance", "path", "reason"], [[f"u{i}", f"u{i}.wav", "silent"] for i in range(9)])
    elif pattern.startswith("statistics/"):
        write_sealed_json(path, {**{name: NAMES[name] for name in ("feature", "corpus", "condition")}, "mean": -2.7})
    elif pattern == "report/{study}.json":
        write_sealed_json(path, {"study": NAMES["study"], "title": "DLC"})
    elif path.name == "files.json":
        take_stock(folder / "resources", None, stamps(folder / "resources")).write(path)
    else:
        with digested_path(path) as temporary:
            temporary.write_bytes(pattern.encode() * 9)


def content(folder: Path) -> str:
    return take_stock(folder / "resources", None, stamps(folder / "resources")).content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one artefact of every kind."""
    folder = tmp_path_factory.mktemp("whole")
    write_resources(folder)
    write_runs(folder)
    write_stores(folder)
    for top, pattern in PATTERNS:
        if not place(folder, top, pattern).exists():
            write_rest(folder, top, pattern)
    return folder


@pytest.fixture
def tree(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    # the record of weights holds their path
    record = tmp_path / "resources/weights/byol.json"
    (tmp_path / "resources/weights/byol").rename(tmp_path / "moved")
    assert record.is_file()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moved").rename(tmp_path / "resources/weights/byol")
    return tmp_path


def faults(folder: Path, *paths: Path) -> list[str]:
    checked = check_all(find(paths or [folder / "results", folder / "resources"]))
    return [entry.fault for entry in checked if entry.fault is not None]


def damages(content: bytes, seed: str) -> Iterator[bytes]:
    """Yield a file damaged in the ways of disks, networks and hands: bits flipped, cut, blanked, lengthened."""
    chance = random.Random(seed)
    yield b""
    yield content + b"\n"
    yield content[:-1]
    yield content[: chance.randrange(len(content))]
    for _ in range(12):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        yield bytes(flipped)
    start = chance.randrange(max(1, len(content) - 16))
    blank = bytearray(content)
    blank[start : start + 16] = bytes(byte ^ 0xFF for byte in blank[start : start + 16])
    yield bytes(blank)


def test_all_is_whole_at_first(tree: Path) -> None:
    assert faults(tree) == []
    found = {path.relative_to(tree).as_posix() for path in find([tree / "results", tree / "resources"])}
    missing = [pattern for top, pattern in PATTERNS if place(Path(), top, pattern).as_posix() not in found]
    assert sorted(missing) == sorted(ARRAYS)


@pytest.mark.parametrize(("top", "pattern"), PATTERNS)
def test_any_damage_of_any_artefact_is_noticed_and_the_others_are_looked_at(tree: Path, top: str, pattern: str) -> None:
    path = place(tree, top, pattern)
    before = path.read_bytes()
    for damaged in damages(before, pattern):
        path.write_bytes(damaged)
        (said,) = faults(tree, path)
        assert path.stem in said
        assert "Error" not in said
    assert 1 <= len(faults(tree)) <= 4
    assert said in faults(tree)
    path.write_bytes(before)
    assert faults(tree, path) == []
    path.unlink()
    if pattern in ARRAYS:
        assert any(f"{path}: missing" in fault for fault in faults(tree))


@pytest.mark.parametrize(("top", "pattern"), PATTERNS)
def test_whoever_reads_a_damaged_artefact_refuses_it(tree: Path, top: str, pattern: str) -> None:
    """As far as serflow reads it: ``inspect`` opens whatever can be opened. Versions are damaged as runs are."""
    path = place(tree, top, pattern)
    if path.suffix not in (".parquet", ".csv", ".json", ".safetensors", ".npy"):
        return
    shown = path.with_suffix(".parquet") if path.suffix == ".npy" else path
    before = path.read_bytes()
    for damaged in damages(before, pattern.replace("versions/{version}/", "runs/")):
        path.write_bytes(damaged)
        with pytest.raises(SerflowError):
            describe(shown)
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("top", "pattern"), [entry for entry in PATTERNS if entry[1].endswith(".parquet") and "{version}" not in entry[1]]
)
def test_whichever_byte_of_a_table_is_changed_is_noticed(tree: Path, top: str, pattern: str) -> None:
    """Pages have headers, which their CRC leaves out, and the key of our own entry makes a table one of ours."""
    path = place(tree, top, pattern)
    before = path.read_bytes()
    begins = len(before) - 8 - int.from_bytes(before[-8:-4], "little")
    key = before.index(b"serflow", begins)
    # all that lies before the footer, and the entry's key with what tells its type and length
    for changed in [*range(begins), *range(key - 4, key + 12)]:
        path.write_bytes(before[:changed] + bytes([before[changed] ^ 1]) + before[changed + 1 :])
        with pytest.raises(SerflowError):
            check(path)
        if changed >= begins:
            with pytest.raises(SerflowError):
                describe(path)
    path.write_bytes(before)


@pytest.mark.parametrize("where", [f"resources/synthetic/toy/{name}" for name in ("a.wav", "new.wav")])
def test_a_stand_in_is_what_its_manifest_says(tree: Path, where: str) -> None:
    (tree / where).write_bytes(b"other")
    assert len(faults(tree)) == 1
    assert "resources/synthetic/toy: has" in faults(tree)[0]


def test_a_run_of_a_version_belongs_where_its_cell_is_named(tree: Path) -> None:
    place_of = tree / "results/versions/clean/dlc"
    (place_of / "exp1").rename(place_of / "exp2")
    try:
        assert any("is runs/dlc/exp1/single/toy/h1/metrics.json by what it says" in fault for fault in faults(tree))
    finally:
        (place_of / "exp2").rename(place_of / "exp1")


def test_weights_are_what_their_record_says(tree: Path, whole: Path) -> None:
    weights = whole / "resources/weights/byol/stand-in/model.pth"
    before = weights.read_bytes()
    weights.write_bytes(b"other")
    try:
        assert any("model.pth: does not match the SHA-256" in fault for fault in faults(tree))
    finally:
        weights.write_bytes(before)


OTHERS: dict[str, Callable[[Path], Path]] = {
    "results/corpora/toy/utterances.parquet": lambda tree: tree / "results/corpora/other/utterances.parquet",
    "results/splits/toy/speaker-0.parquet": lambda tree: tree / "results/splits/toy/speaker-1.parquet",
    "results/noise/toy/h1.parquet": lambda tree: tree / "results/noise/toy/h2.parquet",
    "results/features/mfb/toy/clean/0000.parquet": lambda tree: tree / "results/features/mfb/toy/h1/0000.parquet",
    "results/runs/dlc/exp1/single/toy/h1/metrics.json": lambda tree: tree / "results/runs/dlc/exp2/metrics.json",
    "results/statistics/mfb/toy/clean.json": lambda tree: tree / "results/statistics/mfb/toy/h1.json",
    "results/table1.csv": lambda tree: tree / "results/dlc/table2.csv",
    "resources/synthetic/toy.json": lambda tree: tree / "resources/synthetic/other.json",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_whole_file_in_the_place_of_another_is_noticed(tree: Path, name: str) -> None:
    target = OTHERS[name](tree)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(tree / name, target)
    assert any(str(target.parent) in fault for fault in faults(tree))


def test_paths_may_be_given_from_within_the_results(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "results")
    (tree / "results/logs/a").mkdir(parents=True)
    (tree / "results/logs/a/b.log").write_text("")
    for given in (Path(), Path("corpora"), Path("corpora/toy/utterances.parquet"), Path("../results")):
        assert faults(tree, given) == []
    (tree / "results/corpora/toy").rename(tree / "results/corpora/other")
    assert faults(tree, Path("corpora"))


def test_a_digest_that_is_gone_is_a_fault(tree: Path) -> None:
    digest_path(tree / "results/table1.csv").unlink()
    (fault,) = faults(tree)
    assert "table1.csv" in fault
    assert "missing" in fault


def test_resources_are_looked_at_by_default(tree: Path) -> None:
    done = CliRunner().invoke(app, ["verify"])
    assert done.exit_code == 0, done.output
    (tree / "resources/synthetic/toy/a.wav").write_bytes(b"")
    done = CliRunner().invoke(app, ["verify"])
    assert done.exit_code == 1
    assert "resources/synthetic/toy: has" in done.output
