"""What `make benchmarks` says beside what was recorded: which direction is the better one, and what fell."""

import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def record(repository):
    sys.path.insert(0, str(repository / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("_record", repository / "benchmarks" / "_record.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(repository / "benchmarks"))
    return module


def line(unit="ms/step", processor="this", **values):
    return {"name": "step", "unit": unit, "processor": processor, "ours": 10.0, **values}


@pytest.mark.parametrize(
    ("unit", "before", "now", "change"),
    [
        ("ms/step", 0.5, 1.0, 0.5),
        ("MB/s", 2.0, 1.0, 0.5),
        ("utterances/s", 1.0, 2.0, 2.0),
        ("s/epoch", 2.0, 1.0, 2.0),
        ("MB", 1.0, 1.25, 0.8),
    ],
)
def test_speeds_fall_and_times_rise(record, unit, before, now, change):
    (found,) = record.compare([line(unit, ratio=now)], [line(unit, ratio=before)], "this")
    assert found.change == pytest.approx(change)
    assert found.fell == (change < 0.8)


def test_what_has_no_peer_is_compared_by_itself(record):
    (found,) = record.compare([line("operations/step", ours=300)], [line("operations/step", ours=200)], "this")
    assert found.change == pytest.approx(2 / 3)


def test_the_processor_at_hand_comes_first_then_what_was_last(record):
    recorded = [line(ratio=0.1), line(ratio=0.2), line(ratio=0.3, processor="other")]
    assert record.last_of(recorded, "step", "this") == recorded[1]
    assert record.last_of(recorded, "step", "third") == recorded[2]
    assert record.last_of(recorded, "another", "this") is None
    (found,) = record.compare([line(ratio=0.1)], [], "this")
    assert (found.change, found.fell) == (None, False)


def test_a_benchmark_that_fails_ends_the_run(record, tmp_path):
    script = tmp_path / "b.py"
    script.write_text('print(\'{"name": "a"}\'); raise SystemExit(2)')
    with pytest.raises(SystemExit, match="failed"):
        record.run(str(script), [])


@pytest.mark.parametrize(
    ("arguments", "own", "given"),
    [
        (["a.py"], ["a.py"], []),
        (["--record", "a folder/b.py", "--", "--data", "my data", "--", "x"], ["--record", "a folder/b.py"],
         ["--data", "my data", "--", "x"]),
        (["a.py", "--"], ["a.py"], []),
    ],
)  # fmt: skip
def test_arguments_keep_their_blanks(record, arguments, own, given):
    assert record.apart(arguments) == (own, given)


def test_what_is_recorded_can_be_read(repository):
    for text in (repository / "benchmarks/recorded.jsonl").read_text().splitlines():
        found = json.loads(text)
        assert {"name", "ours", "unit", "processor", "source"} <= found.keys()
        assert "commit" in found["source"]
