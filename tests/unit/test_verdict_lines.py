"""A line a paper counts claims and not their numbers, and checks by what they find."""

import importlib.util

import pytest

from serflow.claims.verdicts import Verdict
from serflow.files import write_csv


@pytest.fixture(scope="module")
def verdicts(repository):
    spec = importlib.util.spec_from_file_location("verdicts", repository / "benchmarks" / "verdicts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_claim_of_two_numbers_counts_once(verdicts, tmp_path):
    rows = [
        ["a", "synthetic", "holds"],
        ["a", "synthetic; SNR +25 dB", "holds"],
        ["b", "synthetic", "cannot tell"],
        ["c", "", "cannot tell"],
    ]
    write_csv(tmp_path / "dlc/claims.csv", ["claim", "marks", "verdict"], rows)
    assert verdicts.paper_line(tmp_path, "dlc") == (
        "of 3 claims 1 holds, 2 cannot tell (synthetic; SNR +25 dB)"
    )  # fmt: skip


def test_checks_are_counted_by_what_they_find(verdicts, tmp_path):
    write_csv(tmp_path / "qc/dlc.csv", ["check", "severity"], [["size", 0], ["size", 1], ["controls", 3], ["size", 1]])
    assert verdicts.paper_line(tmp_path, "dlc") == "of 4 checks 1 wrong, 2 to look at"
    write_csv(tmp_path / "qc/temporal.csv", ["check", "severity"], [["size", 0]])
    assert verdicts.paper_line(tmp_path, "temporal") == "of 1 checks none finds anything"


def test_a_paper_without_results_is_not_run(verdicts, tmp_path):
    assert verdicts.paper_line(tmp_path, "invariance") == "not run"


def test_every_verdict_has_a_place_in_the_line(verdicts):
    assert set(verdicts.VERDICTS) == {str(verdict) for verdict in Verdict}
