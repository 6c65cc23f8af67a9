"""Damaged label files, by parser: does the stage say what is wrong, or does it break.

``fuzz_labels(parser, trials, seed) -> Counter[str]`` for each of ``PARSERS`` counts the outcomes of so many trials:

- ``listed``: utterances were listed, and what was left out has a reason;
- ``refused``: one sentence that names a file below the root;
- ``unclear``: a sentence that names none;
- ``traceback``, ``hang`` (longer than 30 s), ``memory`` (more than 1 GiB above what was there), ``crash`` (a signal).

The last five are faults. ``python benchmarks/_fuzz_labels.py PARSER SEED TRIAL`` repeats one trial and shows what it
says. Each trial runs in a child of its own, on a corpus of three utterances whose label file has been damaged.
"""

import argparse
import contextlib
import functools
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import h5py
import numpy as np

from serflow.corpora._tables import read_listing, read_rejected
from serflow.errors import SerflowError
from serflow.noise.esc50 import list_clips
from serflow.stages import list_utterances

FAULTS = ("unclear", "traceback", "hang", "memory", "crash")
_LIMIT_S = 30
_LIMIT_BYTES = 1 << 30
_STATUS = {"listed": 0, "refused": 10, "unclear": 11, "traceback": 12, "memory": 13}

_EMOTIONS = ("anger", "sadness", "neutral")
_IEMOCAP = "Ses01F_impro01"
_MSP = ("S01A-F01-S-FM01", "S01A-M01-S-MF02", "S01A-F01-T-FM03")
_VIDEO = "a___b_c-d_e"
_ANSWERS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "sentiment")


@dataclass(frozen=True, slots=True)
class Parser:
    """A label file and what lies beside it; the audio is empty, since the stage reads names alone."""

    layout: str
    labels: str
    content: bytes
    audio: tuple[str, ...]
    others: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _csd() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csd"
        with h5py.File(path, "w") as csd:
            sequence = csd.create_group("All Labels")
            names = b'["happy", "sentiment", "sad", "anger", "surprise", "disgust", "fear"]'
            sequence.create_dataset("metadata/dimension names", data=np.array([names]))
            group = sequence.create_group(f"data/{_VIDEO}")
            group["features"] = np.linspace(-1, 1, 21, dtype=np.float32).reshape(3, 7)
            group["intervals"] = np.array([[0.1, 3.2], [3.5, 4.0], [4.0, 9.0]], dtype=np.float32)
        return path.read_bytes()


def _table(delimiter: str, quote: str = "") -> bytes:
    header = ["file", "emotion", "speaker", "gender", "turn", "valence", "start", "end", "text"]
    rows = [
        [f"a{i}", emotion, f"s{i}", "f", str(i), "1.5", "0.0", "1.25", f"{quote}Words, {i}\u00e9{quote}"]
        for i, emotion in enumerate(_EMOTIONS)
    ]
    return _lines(*(delimiter.join(row) for row in (header, *rows)))


_IEMOCAP_AUDIO = tuple(f"Session1/sentences/wav/{_IEMOCAP}/{_IEMOCAP}_F00{i}.wav" for i in range(3))
_IEMOCAP_LABELS = _lines(
    "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]",
    "",
    *(
        line
        for i, word in enumerate(("ang", "sad", "neu"))
        for line in (
            f"[{i}.0000 - {i + 1}.0000]\t{_IEMOCAP}_F00{i}\t{word}\t[2.5000, 3.0000, 3.5000]",
            "C-E2:\tNeutral;\t()",
            "",
        )
    ),
)
_MSP_LABELS = _lines(
    *(
        line
        for name in _MSP
        for line in (
            f"UTD-IMPROV-{name}.avi; H; A:3.000000; V:3.500000; D:NaN ; N:3.200000;",
            "ab_1; Neutral; Neutral, Other (calm; low); A:3.000000; V:4.000000; D:3.000000; N:NaN;",
            "",
        )
    )
)
_MOSEI_AUDIO = (f"Raw/Audio/Full/WAV_16000/{_VIDEO}.wav",)
_MOSEI_TEXTS = f"Raw/Transcript/Segmented/Combined/{_VIDEO}.txt"
_MOSEI_TRANSCRIPT = _lines(*(f"{_VIDEO}___{i}___{i}.1___{i + 1}.2___words of {i}" for i in range(3)))
_MOSEI_CROWD = _lines(
    "Input.VIDEO_ID,Input.CLIP,WorkerId," + ",".join(f"Answer.{answer}" for answer in _ANSWERS),
    *(f"{_VIDEO},{i},w{worker},0,0,0,3,0,0,1" for i in range(3) for worker in range(2)),
)
_MOSEI_DERIVED = _lines(
    ",file,index,start,end,label2a,label2b,label6,label7,split",
    *(f"{i},{_VIDEO},{i},{i}.1,{i + 1}.2,0,-1,0,-2,1" for i in range(3)),
)
_TABLE_AUDIO = tuple(f"w/a{i}.wav" for i in range(3))
_CREMA_AUDIO = tuple(f"AudioWAV/100{i}_DFA_ANG_XX.wav" for i in (1, 2, 3))
_ESC50 = ("1-100032-A-0", "1-100038-A-14", "2-100210-A-36")


PARSERS = {
    "iemocap": Parser("iemocap", f"Session1/dialog/EmoEvaluation/{_IEMOCAP}.txt", _IEMOCAP_LABELS, _IEMOCAP_AUDIO),
    "iemocap_text": Parser(
        "iemocap",
        f"Session1/dialog/transcriptions/{_IEMOCAP}.txt",
        _lines(*(f"{_IEMOCAP}_F00{i} [000.0000-001.0000]: Words of {i}." for i in range(3)), "M: overlapping"),
        _IEMOCAP_AUDIO,
        {f"Session1/dialog/EmoEvaluation/{_IEMOCAP}.txt": _IEMOCAP_LABELS},
    ),
    "msp_improv": Parser("msp_improv", "Evalution.txt", _MSP_LABELS, tuple(f"Audio/MSP-IMPROV-{n}.wav" for n in _MSP)),
    "mosei_csd": Parser("mosei", "CMU_MOSEI_Labels.csd", _csd(), _MOSEI_AUDIO, {_MOSEI_TEXTS: _MOSEI_TRANSCRIPT}),
    "mosei_derived": Parser("mosei", "Raw/Labels/CMU_MOSEI_Labels.csv", _MOSEI_DERIVED, _MOSEI_AUDIO),
    "mosei_crowd": Parser(
        "mosei", "Raw/Labels/batch.csv", _MOSEI_CROWD, _MOSEI_AUDIO, {_MOSEI_TEXTS: _MOSEI_TRANSCRIPT}
    ),
    "mosei_text": Parser(
        "mosei", _MOSEI_TEXTS, _MOSEI_TRANSCRIPT, _MOSEI_AUDIO, {"Raw/Labels/batch.csv": _MOSEI_CROWD}
    ),
    "crema_d": Parser(
        "crema_d",
        "VideoDemographics.csv",
        _lines('"ActorID","Age","Sex","Race"', *(f'100{i},51,"Male","x"' for i in (1, 2, 3))),
        _CREMA_AUDIO,
    ),
    "table_csv": Parser(
        "table", "t.csv", _table(",", '"'), _TABLE_AUDIO, options={"table": "t.csv", "audio": "w/{file}"}
    ),
    "table_semicolon": Parser(
        "table", "t.csv", _table(";"), _TABLE_AUDIO, options={"table": "t.csv", "audio": "w/{file}.wav"}
    ),
    "table_tsv": Parser("table", "t.tsv", _table("\t"), _TABLE_AUDIO, options={"table": "t.tsv", "audio": "w/{file}"}),
    "esc50": Parser(
        "esc50",
        "meta/esc50.csv",
        _lines(
            "filename,fold,target,category,esc10,src_file,take",
            *(f"{n}.wav,{n[0]},{n.rpartition('-')[2]},x,True,{n.split('-')[1]},A" for n in _ESC50),
        ),
        tuple(f"audio/{name}.wav" for name in _ESC50),
    ),
}

_NUMBERS = (b"1e300", b"-1", b"nan", b"inf", b"-0.0", b"9" * 400, b"1e400", b"0x10", b"1_0", b"\xd9\xa3", b"1,5", b"")
_PIECES = (
    b"\0", b'"', b"'", b"\r", b"\n", b"\t", b",", b";", b"|", b"\\", b"/", b"../", b"{", b"%s", b"\x85", b"\xff\xfe",
    "\u2028".encode(), b"\xed\xb2\x80", b"\x1b[2J", b"=cmd()", b"word " * 40_000, b"sep=;\n", b"\xef\xbb\xbf", b"\xc3",
)  # fmt: skip


def _flip(content: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32))):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _cut(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + content[rng.choice((start + rng.randrange(40), len(content))) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.choice(_PIECES) + content[place:]


def _number(content: bytes, rng: random.Random) -> bytes:
    digits = [i for i, byte in enumerate(content) if 48 <= byte < 58]
    if not digits:
        return content
    start = end = rng.choice(digits)
    while start and content[start - 1 : start] in b"0123456789.-":
        start -= 1
    while end < len(content) and content[end : end + 1] in b"0123456789.":
        end += 1
    return content[:start] + rng.choice(_NUMBERS) + content[end:]


def _shuffle_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(3)
    if change == 0:
        del lines[i]
    elif change == 1:
        lines.insert(j, lines[i])
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _shuffle_columns(content: bytes, rng: random.Random) -> bytes:
    delimiter = max((b",", b";", b"\t", b"___"), key=content.count)
    lines = [line.split(delimiter) for line in content.split(b"\n")]
    widest = max(map(len, lines))
    i, j = rng.randrange(widest), rng.randrange(widest)
    rows = lines if rng.random() < 0.5 else [rng.choice(lines)]
    for cells in rows:
        if max(i, j) < len(cells):
            cells[i], cells[j] = cells[j], cells[i]
    return b"\n".join(delimiter.join(cells) for cells in lines)


def _encode(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig", "utf-7")), "replace")


def _repeat(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\0", b"\n", b'"', content, b"\xff")) * rng.choice((1, 2, 500))


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _insert, _insert, _number, _number, _shuffle_lines, _shuffle_columns, _encode, _repeat,
)  # fmt: skip


def _bind(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    os.chdir(before)


_NO_FILES: tuple[Callable[[Path], object], ...] = (
    os.mkfifo,
    Path.mkdir,
    _bind,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("nowhere"),
    lambda path: path.symlink_to(path.name),
)


def _write(root: Path, parser: Parser) -> Path:
    """Write the corpus and return where its label file is."""
    for name, content in {**dict.fromkeys(parser.audio, b""), **parser.others, parser.labels: parser.content}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root / parser.labels


def _damage(labels: Path, rng: random.Random) -> None:
    """Damage a label file, or put something that is no file in its place."""
    content = labels.read_bytes()
    if rng.random() < 0.05:
        labels.unlink()
        rng.choice(_NO_FILES)(labels)
        return
    for _ in range(rng.choice((1, 1, 2, 5))):
        content = rng.choice(_DAMAGES)(content, rng) if content else content
    labels.write_bytes(content)


def _read(root: Path, out: Path, parser: Parser) -> None:
    if parser.layout == "esc50":
        list_clips(root)
        return
    given = argparse.Namespace(
        corpus="fuzzed", layout=parser.layout, root=root, options=dict(parser.options), title=None, language=None,
        synthetic=False, allow_partial=True, files=out / "files.json", listing=out / "listing.parquet",
        rejected=out / "rejected.csv",
    )  # fmt: skip
    list_utterances.main(given)
    listed = read_listing(given.listing, columns=["utterance", "path"]).to_pylist()
    for row in listed:
        name, path = Path(row["utterance"]), root / row["path"]
        if name.name != row["utterance"] or not path.is_file() or root not in path.resolve().parents:
            raise AssertionError(f"listed, but no utterance of this corpus: {row}")
    read_rejected(given.rejected)


def _outcome(root: Path, out: Path, parser: Parser) -> str:
    try:
        _read(root, out, parser)
    except SerflowError as error:
        print(error)
        return "refused" if str(root) in str(error) or Path(parser.labels).name in str(error) else "unclear"
    except MemoryError:
        traceback.print_exc()
        return "memory"
    except BaseException:
        traceback.print_exc()
        return "traceback"
    return "listed"


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _LIMIT_BYTES, used + _LIMIT_BYTES))


def _wait(child: int) -> str:
    """Return how a child ended; one that does not within the limit is killed."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return next((outcome for outcome, known in _STATUS.items() if known == code), "crash")
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"


@functools.cache
def _read_whole(name: str) -> None:
    """Read the label file as it is: all that is needed is then imported, once for all trials."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "corpus", PARSERS[name])
        _read(Path(folder) / "corpus", Path(folder) / "out", PARSERS[name])


def try_labels(name: str, seed: int, trial: int, quiet: bool = True) -> str:
    """Damage the label file of a parser and return the outcome; a seed and a trial give the same damage always."""
    parser, rng = PARSERS[name], random.Random(f"{name} {seed} {trial}")
    _read_whole(name)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-labels-"))
    try:
        root = folder / "corpus"
        _damage(_write(root, parser), rng)
        child = os.fork()
        if child == 0:
            status = _STATUS["traceback"]
            with contextlib.suppress(BaseException):
                if quiet:
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, 1)
                    os.dup2(nowhere, 2)
                _limit_memory()
                status = _STATUS[_outcome(root, folder / "out", parser)]
                sys.stdout.flush()
            os._exit(status)
        return _wait(child)
    finally:
        shutil.rmtree(folder)


def fuzz_labels(parser: str, trials: int, seed: int = 0) -> Counter[str]:
    """Return how many of so many damaged label files of a parser ended how."""
    return Counter(try_labels(parser, seed, trial) for trial in range(trials))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parser", choices=PARSERS)
    arguments.add_argument("seed", type=int)
    arguments.add_argument("trial", type=int)
    given = arguments.parse_args()
    print(try_labels(given.parser, given.seed, given.trial, quiet=False))
