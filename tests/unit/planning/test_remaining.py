import pytest

from serflow.planning.remaining import Remaining, in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (7500, "2 h 5 min"), (35_970, "10 h"),
        (100_002, "28 h"), (4 * 86_400 + 3600, "4 days 1 h"), (30 * 86_400, "30 days"),
    ],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


def test_jobs_are_reckoned_with_recorded_times_then_with_those_seen():
    left = Remaining({"train": 100.0, "table": 10.0}, {"train": 3, "table": 1, "total": 4}, 1)
    assert left.left_s(0.0) == pytest.approx(310.0)
    left.begin(1, "train", 0.0)
    assert left.left_s(30.0) == pytest.approx(280.0)
    # longer than expected: nothing is taken off the others
    assert left.left_s(500.0) == pytest.approx(210.0)
    left.end(1, 40.0)
    assert left.left_s(40.0) == pytest.approx(2 * 40 + 10)
    assert left.line(40.0) == "3 jobs left, 31% of the work done: about 2 min more"


def test_several_jobs_run_at_a_time():
    left = Remaining({"train": 100.0}, {"train": 8}, 4)
    assert left.line(0.0).endswith("about 3 min more")
    # more slots than jobs
    assert Remaining({"train": 100.0}, {"train": 2}, 64).line(0.0).endswith("about 2 min more")


def test_what_no_run_recorded_is_said():
    left = Remaining({"table": 10.0}, {"train": 2, "fetch": 1, "table": 1}, 1)
    assert left.line(0.0) == (
        "4 jobs left: about 10 s more, and what 2 train, 1 fetch take, which no run has recorded yet"
    )
    assert Remaining({}, {"train": 1}, 1).line(0.0) == "1 job left: what 1 train take, which no run has recorded yet"


def test_a_failed_job_is_still_to_be_done():
    left = Remaining({"train": 100.0}, {"train": 1}, 1)
    left.begin(1, "train", 0.0)
    left.fail(1)
    assert left.left_s(60.0) == 100.0
    left.begin(1, "train", 60.0)
    left.end(1, 160.0)
    assert left.line(160.0) is None
