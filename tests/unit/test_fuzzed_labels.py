"""A small part of the fuzzing of label files; `benchmarks/fuzz.py` does the whole."""

import importlib.util
import sys

import pytest

from serflow.corpora.base import corpus_names

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
