"""A small part of the fuzzing of label files; `benchmarks/fuzz.py` does the whole."""

import errno
import importlib.util
import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from serflow.corpora.base import corpus_names, load_corpus
from serflow.errors import SerflowError
from serflow.noise.esc50 import list_clips

if sys.platform != "linux":
    pytest.skip("limits memory as Linux does", allow_module_level=True)


@pytest.fixture(scope="module")
def fuzzing(repository):
    spec = importlib.util.spec_from_file_location("_fuzz_labels", repository / "benchmarks" / "_fuzz_labels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_layout_with_label_files_is_fuzzed(fuzzing):
    by_name = {"cafe", "emodb", "ravdess"}
    assert {parser.layout for parser in fuzzing.PARSERS.values()} == set(corpus_names()) - by_name | {"esc50"}


def test_faults_are_told_from_answers(fuzzing, monkeypatch):
    def broken(root, out, parser):
        raise {"traceback": KeyError, "memory": MemoryError}[parser.labels](parser.labels)

    monkeypatch.setattr(fuzzing, "_read", broken)
    for outcome in ("traceback", "memory"):
        assert fuzzing._outcome(None, None, fuzzing.Parser("table", outcome, b"", ())) == outcome


PARSERS = (
    "iemocap", "iemocap_text", "msp_improv", "mosei_csd", "mosei_derived", "mosei_crowd", "mosei_text", "crema_d",
    "table_csv", "table_semicolon", "table_tsv", "esc50",
)  # fmt: skip


def test_all_parsers_are_named_here(fuzzing):
    assert tuple(fuzzing.PARSERS) == PARSERS


@pytest.mark.parametrize("parser", PARSERS)
def test_a_damaged_label_file_is_read_or_refused(fuzzing, parser):
    found = fuzzing.fuzz_labels(parser, trials=6, seed=1)
    assert found.total() == 6
    assert {outcome: found[outcome] for outcome in fuzzing.FAULTS if found[outcome]} == {}


KINDS = ("named pipe", "folder", "socket", "device", "link that leads nowhere", "link in a circle")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parser", PARSERS)
def test_what_is_no_file_in_the_place_of_labels_is_said(fuzzing, parser, kind, tmp_path):
    """Where it is optional, the listing says that it was not read; nothing waits for a pipe."""
    given = fuzzing.PARSERS[parser]
    labels = fuzzing._write(tmp_path, given)
    labels.unlink()
    fuzzing._NO_FILES[KINDS.index(kind)](labels)
    assert_said(given, tmp_path, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parser", PARSERS[:-1])
def test_audio_that_is_no_file_is_rejected_once_with_its_reason(fuzzing, parser, kind, tmp_path):
    given = fuzzing.PARSERS[parser]
    fuzzing._write(tmp_path, given)
    audio = tmp_path / given.audio[0]
    audio.unlink()
    fuzzing._NO_FILES[KINDS.index(kind)](audio)
    listing = load_corpus(given.layout).list(tmp_path, dict(given.options))
    entries = [entry for entry in listing.rejected if kind in entry.reason]
    assert {entry.path for entry in entries} == {given.audio[0]}
    assert len(entries) == (3 if given.layout == "mosei" else 1)
    assert len(listing.utterances) + len([entry for entry in listing.rejected if entry.lost]) == 3


SAVED = {
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "with CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "with CR": lambda text: text.replace("\n", "\r").encode(),
    "with a mark and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
    "as UTF-16": lambda text: text.encode("utf-16"),
    "with empty lines at its end": lambda text: text.encode() + b"\n\n",
    "without a last line end": lambda text: text.rstrip("\n").encode(),
}


def listed(given, root):
    return list_clips(root) if given.layout == "esc50" else load_corpus(given.layout).list(root, dict(given.options))


@pytest.mark.parametrize("saved", SAVED)
@pytest.mark.parametrize("parser", [name for name in PARSERS if name != "mosei_csd"])
def test_labels_say_the_same_however_they_were_saved(fuzzing, parser, saved, tmp_path):
    given = fuzzing.PARSERS[parser]
    labels = fuzzing._write(tmp_path, given)
    plain = listed(given, tmp_path)
    labels.write_bytes(SAVED[saved](given.content.decode()))
    assert listed(given, tmp_path) == plain


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c"])
@pytest.mark.parametrize("parser", ["iemocap_text", "mosei_text", "table_csv", "table_semicolon", "table_tsv"])
def test_a_transcript_is_whole_whatever_it_holds(fuzzing, parser, character, tmp_path):
    given = fuzzing.PARSERS[parser]
    labels = fuzzing._write(tmp_path, given)
    texts = [utterance.text for utterance in listed(given, tmp_path).utterances]
    assert [text for text in texts if "ords" not in text] == []
    labels.write_bytes(given.content.replace(b"ords", f"or{character}ds".encode()))
    found = [utterance.text for utterance in listed(given, tmp_path).utterances]
    assert found == [text.replace("ords", f"or{character}ds") for text in texts]


def assert_said(given, root, what):
    try:
        found = listed(given, root)
        said = []
        if given.layout != "esc50":
            said = [*found.notes, *(f"{entry.path}: {entry.reason}" for entry in found.rejected)]
    except SerflowError as error:
        said = [str(error)]
    assert [line for line in said if what in line], said


def folders(given):
    """The folders that a layout looks into, below the root."""
    names = {*given.audio, *given.others, given.labels}
    return sorted({parent.as_posix() for name in names for parent in PurePosixPath(name).parents})


@pytest.mark.parametrize("parser", PARSERS)
def test_a_folder_that_cannot_be_read_is_said(fuzzing, parser, tmp_path, monkeypatch):
    given = fuzzing.PARSERS[parser]
    fuzzing._write(tmp_path, given)
    scandir, stat, read_bytes = os.scandir, Path.stat, Path.read_bytes
    for shut in folders(given):
        closed = tmp_path / shut

        def refuse(path, closed=closed):
            if closed in Path(path).parents:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        def scan(path, closed=closed, refuse=refuse):
            refuse(Path(path) / "x")
            return scandir(path)

        def look(path, follow_symlinks=True, refuse=refuse):
            refuse(path)
            return stat(path, follow_symlinks=follow_symlinks)

        def read(path, refuse=refuse):
            refuse(path)
            return read_bytes(path)

        with monkeypatch.context() as patched:
            patched.setattr(os, "scandir", scan)
            patched.setattr(Path, "stat", look)
            patched.setattr(Path, "read_bytes", read)
            assert_said(given, tmp_path, "Permission denied")
