"""A small part of the fuzzing of audio files; `benchmarks/fuzz.py` does the whole."""

import importlib.util
import sys

import pytest
import soundfile

from serflow.audio import prepared
from serflow.errors import AudioError

if sys.platform != "linux":
    pytest.skip("limits memory as Linux does", allow_module_level=True)


@pytest.fixture(scope="module")
def fuzzing(repository):
    spec = importlib.util.spec_from_file_location("_fuzz_audio", repository / "benchmarks" / "_fuzz_audio.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_container_that_libsndfile_writes_is_fuzzed(fuzzing):
    assert {name for name, _ in fuzzing.containers()} == soundfile.available_formats().keys() - {"RAW", "SD2"}


def test_a_damaged_audio_file_is_read_or_rejected_with_a_reason(fuzzing):
    found, peak_mb = fuzzing.fuzz_audio(trials=2 * len(fuzzing.containers()), seed=1)
    assert found.total() == 2 * len(fuzzing.containers())
    assert {outcome: found[outcome] for outcome in fuzzing.FAULTS if found[outcome]} == {}
    assert found["read"] > 5
    assert found["rejected"] > 5
    assert peak_mb > 0


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (KeyError("a"), "traceback"),
        (MemoryError(), "memory"),
        (AudioError(""), "vanished"),
        (AudioError("a"), "rejected"),
    ],
)
def test_faults_are_told_from_answers(fuzzing, monkeypatch, tmp_path, raised, outcome):
    def broken(*args, **kwargs):
        raise raised

    monkeypatch.setattr(fuzzing.prepare_audio, "prepare", broken)
    (tmp_path / "a").write_bytes(b"")
    assert fuzzing._outcome(tmp_path, None) == outcome


def test_what_is_accepted_without_its_end_is_a_fault(fuzzing, tmp_path):
    content = next(iter(fuzzing.containers().values()))
    (tmp_path / "a").write_bytes(content)
    assert prepared.prepare("a", tmp_path / "a", min_duration_s=0.1).pcm16.any()
    assert fuzzing._outcome(tmp_path, 19_200) == "read"
    assert fuzzing._outcome(tmp_path, 1_000_000) == "cut short"
