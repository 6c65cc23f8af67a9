"""The premium of a leak on constructed predictions."""

import math

import numpy as np
import pytest

from made_up_runs import UTTERANCE, predicted, write_cell, write_utterances
from serflow.errors import StoreError
from serflow.premiums.measure import COLUMNS, UNIT, Version, by_profile, premiums
from serflow.premiums.versions import AS_IN_PAPER, WITHOUT_LEAKS
from serflow.report.headings import Heading, Layout
from serflow.runs.bootstrap import clusters_by_corpus, read_predictions

N_SPEAKERS, OF_EACH = 12, 60
CELL = {"system": "a", "corpus": "toy"}
LAYOUT = Layout(
    ("System",), [Heading(("A",), {"system": "a"})], [Heading(("WA",), {"measure": "wa"})], {"corpus": "toy"}
)


@pytest.fixture
def clusters(tmp_path):
    rows = [
        {UTTERANCE: f"s{speaker:02d}_{i}", "speaker": f"s{speaker:02d}"}
        for speaker in range(N_SPEAKERS)
        for i in range(OF_EACH)
    ]
    return clusters_by_corpus([write_utterances(tmp_path / "corpus", rows=rows)], UNIT)


def version(folder, right, speakers, runs=(0, 1, 2), layout=LAYOUT):
    """Return a version that is right in so many of 60 utterances of each speaker, by run."""
    results = []
    for run in runs:
        rows = [
            (f"s{speaker:02d}_{i}", np.eye(3)[i % 3].tolist(), (i + (i >= right)) % 3)
            for speaker in speakers
            for i in range(OF_EACH)
        ]
        results.append(predicted(rows, run))
    files = write_cell(folder, CELL, results)
    return Version(layout, [read_predictions(files.predictions)])


def told(paper, clean, clusters, leaks=("speakers",)):
    versions = {AS_IN_PAPER: paper, "with_speakers": paper, WITHOUT_LEAKS: clean, "with_clips": clean}
    rows = premiums("table1", versions, leaks, clusters, replicates=400)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def test_the_premium_is_the_difference_and_nothing_where_speakers_do_not_differ(tmp_path, clusters):
    everyone = range(N_SPEAKERS)
    (found,) = told(version(tmp_path / "p", 48, everyone), version(tmp_path / "c", 30, everyone), clusters)
    assert [found[name] for name in ("with_leak", "without", "premium", "low", "high")] == [
        "80.00", "50.00", "30.00", "30.00", "30.00",
    ]  # fmt: skip
    assert (found["drawn"], found["n_speakers"], found["n_runs"]) == ("alike", 12, 3)
    assert (found["row"], found["column"], found["leak"], found["std"]) == ("A", "WA", "speakers", "0.00")


def varied(folder, shares, speakers):
    """Return a version that is right in another share of each speaker's utterances."""
    rows = [
        (f"s{speaker:02d}_{i}", np.eye(3)[i % 3].tolist(), (i + (i >= OF_EACH * share)) % 3)
        for speaker, share in zip(speakers, shares, strict=True)
        for i in range(OF_EACH)
    ]
    files = write_cell(folder, CELL, [predicted(rows)])
    return Version(LAYOUT, [read_predictions(files.predictions)])


def test_speakers_tested_in_both_are_paired_and_others_are_not(tmp_path, clusters):
    """The variance of a difference of two means of six speakers each is that of one twice; paired, it is none."""
    shares = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    first = varied(tmp_path / "a", shares, range(6))
    same, others = varied(tmp_path / "b", shares, range(6)), varied(tmp_path / "c", shares, range(6, 12))
    (paired,), (apart,) = told(first, same, clusters), told(first, others, clusters)
    assert (paired["low"], paired["high"]) == ("0.00", "0.00")
    assert apart["drawn"] == "apart"
    half = 1.96 * math.sqrt(2 * np.var(shares) / 6) * 100
    assert float(apart["high"]) - float(apart["low"]) == pytest.approx(2 * half, rel=0.15)
    assert "one run" in apart["note"]
    assert "few speakers: 6 in the smallest test set" in apart["note"]


def test_of_few_speakers_no_interval_is_told(tmp_path, clusters):
    (found,) = told(version(tmp_path / "p", 48, range(12)), version(tmp_path / "c", 30, range(4)), clusters)
    assert (found["premium"], found["low"], found["high"], found["drawn"]) == ("30.00", "", "", "")
    assert found["n_speakers"] == 4
    assert "no interval: 4 speaker(s)" in found["note"]


def test_of_a_mean_over_corpora_the_smallest_test_set_counts(tmp_path):
    """Two corpora of four speakers each are not eight speakers."""
    clusters, cells = {}, []
    for corpus in ("toy", "other"):
        rows = [
            {UTTERANCE: f"{corpus}{speaker}_{i}", "speaker": f"s{speaker}"}
            for speaker in range(4)
            for i in range(OF_EACH)
        ]
        clusters |= clusters_by_corpus([write_utterances(tmp_path / corpus, corpus=corpus, rows=rows)], UNIT)
        said = [(row[UTTERANCE], np.eye(3)[i % 3].tolist(), i % 3) for i, row in enumerate(rows)]
        files = write_cell(tmp_path / "runs" / corpus, {**CELL, "corpus": corpus}, [predicted(said)])
        cells.append(read_predictions(files.predictions))
    both = Version(LAYOUT._replace(where={"corpus": ("toy", "other")}), cells)
    (found,) = told(both, both, clusters)
    assert (found["n_speakers"], found["low"]) == (4, "")
    assert "no interval" in found["note"]


def test_several_leaks_are_told_together_and_each(tmp_path, clusters):
    paper, clean = version(tmp_path / "p", 48, range(12)), version(tmp_path / "c", 30, range(12))
    found = told(paper, clean, clusters, ("speakers", "clips"))
    assert [(row["leak"], row["premium"]) for row in found] == [
        ("all", "30.00"), ("speakers", "30.00"), ("clips", "0.00"),
    ]  # fmt: skip


def test_columns_titled_by_the_protocol_are_paired_by_their_printed_names(tmp_path, clusters):
    def titled(name):
        columns = [Heading((name, "WA"), {"measure": "wa"}, printed=("WA",))]
        return LAYOUT._replace(columns=columns)

    paper = version(tmp_path / "p", 48, range(12), layout=titled("dialogue_01F"))
    clean = version(tmp_path / "c", 30, range(12), layout=titled("session_1"))
    (found,) = told(paper, clean, clusters)
    assert (found["column"], found["premium"]) == ("WA", "30.00")


def in_noise(folder, profile, *runs, wrong=0):
    """Return a cell; what it predicts is of as many classes off as ``wrong``."""
    rows = [(f"s{speaker:02d}_{i}", np.eye(3)[i % 3].tolist(), (i + wrong) % 3) for speaker in range(6) for i in (0, 1)]
    files = write_cell(folder, {**CELL, "profile": profile}, [predicted(rows, run) for run in runs])
    return read_predictions(files.predictions)


def test_runs_whose_clips_follow_splits_are_one_cell_of_their_profile(tmp_path, clusters):
    right, wrong = in_noise(tmp_path / "0", "h1@partners-0", 0), in_noise(tmp_path / "1", "h1@partners-1", 1, wrong=1)
    first, second = by_profile([right, in_noise(tmp_path / "other", "h2@partners-0", 0), wrong])
    assert [cell.cell["profile"] for cell in (first, second)] == ["h1", "h2"]
    assert (first.runs(), second.runs()) == ([0, 1], [0])
    clean = Version(LAYOUT._replace(where={"corpus": "toy", "profile": "h1"}), [first, second])
    paper = Version(clean.layout, by_profile([in_noise(tmp_path / "paper", "h1", 0, 1)]))
    (found,) = told(paper, clean, clusters)
    assert (found["with_leak"], found["without"], found["n_runs"], found["drawn"]) == ("100.00", "50.00", 2, "alike")
    assert found["std"] == "70.71"


def test_cells_of_other_classes_or_of_the_same_run_are_not_joined(tmp_path):
    one, again = in_noise(tmp_path / "one", "h1@partners-0", 0), in_noise(tmp_path / "again", "h1@partners-1", 0)
    with pytest.raises(StoreError, match="or runs that this has; delete both"):
        by_profile([one, again])
    with pytest.raises(StoreError, match="has other classes than"):
        by_profile([one, in_noise(tmp_path / "more", "h1@partners-1", 1)._replace(classes=("one", "two"))])
