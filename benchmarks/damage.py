"""Damage artefacts at random and see who notices: the reader of each, and ``serflow verify``.

``python benchmarks/damage.py [--trials 848] [--seed 0] [--folder DIR]`` damages a copy of DIR, which holds the
``results`` and ``resources`` of a finished run (a small one is made if it is not given): bits are flipped, files cut,
emptied, blanked, lengthened, or swapped with another of their kind. It prints a JSON line for each sort of artefact and
one for all: ``clear`` was refused in a sentence, ``harmless`` read as before, ``traceback`` an error of another class,
``unnoticed`` read otherwise than before; ``verify_missed`` is what ``serflow verify`` calls whole.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load_file

from serflow.backbones.weights import read_weights
from serflow.errors import SerflowError, StoreError
from serflow.files import check_digest, read_sealed_json
from serflow.inspection.damage import check_all, find
from serflow.inspection.describe import describe
from serflow.runs.scores import read_run
from serflow.state import read_record
from serflow.stores.features import FeatureStore
from serflow.stores.parquet import read_metadata, read_table
from serflow.stores.waveforms import WAVEFORMS_KIND, PackedWaveforms
from serflow.training.checkpoints import check_checkpoint

CHECKOUT = Path(__file__).resolve().parents[1]
SMALL = """
synthetic: {utterances: 96}
dlc: {corpora: [iemocap], profiles: [h1], stand_in: {seeds: [0], maps: 8, max_epochs: 2}}
"""


def make_run(folder: Path) -> None:
    """Make Table I of a small stand-in."""
    config = folder / "small.yaml"
    config.write_text(SMALL)
    command = [str(Path(sys.executable).parent / "snakemake"), "results/table1.csv", "--snakefile"]
    command += [str(CHECKOUT / "Snakefile"), "--directory", str(folder), "--cores", "1", "--quiet", "all"]
    subprocess.run([*command, "--configfile", str(config)], check=True, stdout=subprocess.DEVNULL)


# Readers: each returns a text that differs where what was read does


def _parquet(path: Path) -> str:
    kind = read_metadata(path)["kind"]
    if kind == WAVEFORMS_KIND:
        packed = PackedWaveforms.open(path)
        return repr(
            (packed.utterances, packed.metadata, [_digest(packed[row].tobytes()) for row in range(len(packed))])
        )
    if kind in ("frames", "vectors", "packed_frames"):
        store = FeatureStore.open(path)
        return repr((store.metadata, store.utterances(), [_digest(row.frames.tobytes()) for row in store.iterate()]))
    return repr((read_metadata(path), read_table(path).to_pydict()))


def _json(path: Path) -> str:
    if path.name == "metrics.json":
        return repr(read_run(path))
    if path.name == "files.json":
        record = read_record(path)
        if record is None:
            raise StoreError(f"{path}: counts as absent; what it told of is read again")
        return repr(record)
    said = read_sealed_json(path)
    return repr(read_weights(path)) if "backbone" in said else repr(said)


def _csv(path: Path) -> str:
    return repr(describe(path).as_json())


def _safetensors(path: Path) -> str:
    described = describe(path).as_json()
    return repr((described, {name: _digest(value.numpy().tobytes()) for name, value in load_file(path).items()}))


def _checkpoint(path: Path) -> str:
    check_checkpoint(path)
    return _digest(path.read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _for_people(path: Path) -> str:
    check_digest(path)
    return _digest(path.read_bytes())


READERS: dict[str, Callable[[Path], str]] = {
    ".parquet": _parquet,
    ".npy": lambda path: _parquet(path.with_suffix(".parquet")),
    ".json": _json,
    ".csv": _csv,
    ".safetensors": _safetensors,
    ".pt": _checkpoint,
}


def read(path: Path) -> str:
    """Read an artefact as what uses it does; what serflow never reads (figures, pages) by its digest."""
    return READERS.get(path.suffix, _for_people)(path)


# Damage


def _flip(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _flip_at_the_end(content: bytes, chance: random.Random) -> bytes:
    """Metadata stand at the ends of files."""
    edge = min(len(content), 2000)
    return content[:-edge] + _flip(content[-edge:], chance)


def _blank(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    block = content[start : start + 512]
    return content[:start] + bytes(byte ^ 0x5A for byte in block) + content[start + len(block) :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip": _flip,
    "flip_at_the_end": _flip_at_the_end,
    "cut": lambda content, chance: content[: chance.randrange(len(content))],
    "empty": lambda content, chance: b"",
    "blank": _blank,
    "lengthen": lambda content, chance: content + bytes([chance.randrange(256)]),
}


@contextmanager
def damaged(path: Path, how: str, others: Sequence[Path], chance: random.Random) -> Iterator[bool]:
    """Damage a file for a while; yield whether it is another than before."""
    before = path.read_bytes()
    after = chance.choice(others).read_bytes() if how == "swap" else DAMAGES[how](before, chance)
    try:
        path.write_bytes(after)
        yield after != before
    finally:
        path.write_bytes(before)


def outcome(path: Path, whole: str) -> str:
    """Say what the reader of a damaged file makes of it."""
    try:
        return "harmless" if read(path) == whole else "unnoticed"
    except SerflowError:
        return "clear"
    except Exception as error:
        print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
        return "traceback"


def sort_of(path: Path, folder: Path) -> str:
    """Return the first folder and the suffix."""
    return f"{path.relative_to(folder).parts[1].partition('.')[0]}/*{path.suffix}"


def run(folder: Path, trials: int, seed: int) -> None:
    """Damage the artefacts below ``folder`` and print what was noticed."""
    files = [path for path in find([folder / "results", folder / "resources"]) if path.is_file()]
    files += sorted((folder / "results").rglob("*.npy"))
    sorts: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        if path.stat().st_size:
            sorts[sort_of(path, folder)].append(path)
    os.chdir(folder)
    faults = [entry.fault for entry in check_all(files) if entry.fault is not None]
    assert not faults, faults[0]
    chance = random.Random(seed)
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for _ in range(trials):
        sort = chance.choice(sorted(sorts))
        path = chance.choice(sorts[sort])
        others = [other for other in sorts[sort] if other.name == path.name and other != path]
        how = chance.choice([*DAMAGES, *(["swap"] if others else [])])
        whole = read(path)
        with damaged(path, how, others, chance) as changed:
            if changed:
                counted[sort][outcome(path, whole)] += 1
                (checked,) = check_all([path])
                if checked.fault is None:
                    counted[sort]["verify_missed"] += 1
                    print(f"{path}: verify missed {how}", file=sys.stderr)
    keys = ("clear", "harmless", "traceback", "unnoticed", "verify_missed")
    total: Counter[str] = Counter()
    for sort, counts in [*sorted(counted.items()), ("all", total)]:
        total += counts if sort != "all" else Counter()
        print(json.dumps({"name": f"damage_{sort}", **{key: counts[key] for key in keys}}), flush=True)


def main(trials: int, seed: int, source: Path | None) -> None:
    """Damage a copy of a finished run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if source is None:
            make_run(folder)
        else:
            for part in ("results", "resources"):
                shutil.copytree(source / part, folder / part)
        run(folder, trials, seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=848)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="a finished run (default: a small one is made)")
    given = parser.parse_args()
    main(given.trials, given.seed, given.folder)
