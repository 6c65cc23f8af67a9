"""The premium of a leak on constructed predictions."""

import math

import numpy as np
import pytest

from made_up_runs import PARTIAL_NOISE, UTTERANCE, predicted, write_cell, write_utterances
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


def version(folder, right, speakers, runs=(0, 1, 2), layout=LAYOUT, provenance=None):
    """Return a version that is right in so many of 60 utterances of each speaker; in each run alike, or by run."""
    results = []
    for run, of_run in zip(runs, right if isinstance(right, list) else [right] * len(runs), strict=True):
        rows = [
            (f"s{speaker:02d}_{i}", np.eye(3)[i % 3].tolist(), (i + (i >= of_run)) % 3)
            for speaker in (speakers[run] if isinstance(speakers, list) else speakers)
            for i in range(OF_EACH)
        ]
        results.append(predicted(rows, run))
    files = write_cell(folder, CELL, results, provenance=provenance)
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
    assert found["corpora"] == CELL["corpus"]


def test_noise_that_is_not_whole_in_either_version_is_told(tmp_path, clusters):
    paper, clean = (
        version(tmp_path / name, 48, range(N_SPEAKERS), provenance=made_of)
        for name, made_of in (("p", PARTIAL_NOISE), ("c", None))
    )
    (found,) = told(paper, clean, clusters)
    assert found["note"] == "partial noise; few speakers: 12 in the smallest test set"


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


@pytest.mark.parametrize(("of_paper", "of_clean"), [(12, 4), (4, 12)])
def test_of_few_speakers_no_interval_is_told(tmp_path, clusters, of_paper, of_clean):
    (found,) = told(
        version(tmp_path / "p", 48, range(of_paper)), version(tmp_path / "c", 30, range(of_clean)), clusters
    )
    assert (found["premium"], found["low"], found["high"], found["drawn"]) == ("30.00", "", "", "")
    assert found["n_speakers"] == 4
    assert "no interval: 4 speaker(s)" in found["note"]


def test_of_five_speakers_an_interval_is_told_and_that_they_are_few(tmp_path, clusters):
    (found,) = told(version(tmp_path / "p", 48, range(5)), version(tmp_path / "c", 30, range(5)), clusters)
    assert (found["low"], found["high"], found["n_speakers"]) == ("30.00", "30.00", 5)
    assert found["note"] == "few speakers: 5 in the smallest test set"


def test_twenty_speakers_are_not_few(tmp_path):
    rows = [
        {UTTERANCE: f"s{speaker:02d}_{i}", "speaker": f"s{speaker:02d}"}
        for speaker in range(20)
        for i in range(OF_EACH)
    ]
    clusters = clusters_by_corpus([write_utterances(tmp_path / "corpus", rows=rows)], UNIT)
    (found,) = told(version(tmp_path / "p", 48, range(20)), version(tmp_path / "c", 30, range(20)), clusters)
    assert (found["n_speakers"], found["note"]) == (20, "")


def test_how_trainings_vary_is_in_the_deviation_and_in_the_interval(tmp_path, clusters):
    """The leak is worth 20, 30 and 40 points: 30, with a deviation of 10, whichever speakers are drawn."""
    everyone = range(N_SPEAKERS)
    paper, clean = version(tmp_path / "p", [48, 48, 48], everyone), version(tmp_path / "c", [36, 30, 24], everyone)
    (found,) = told(paper, clean, clusters)
    assert (found["premium"], found["std"]) == ("30.00", "10.00")
    # of three runs two are drawn: the mean is 20 where both are the first
    assert (found["low"], found["high"]) == ("20.00", "40.00")
    assert "one run" not in found["note"]


def test_a_score_that_is_lower_with_the_leak_owes_it_less_than_nothing(tmp_path, clusters):
    everyone = range(N_SPEAKERS)
    (found,) = told(version(tmp_path / "p", 30, everyone), version(tmp_path / "c", 48, everyone), clusters)
    assert [found[name] for name in ("premium", "low", "high")] == ["-30.00"] * 3


def test_a_premium_is_of_the_runs_that_both_versions_have(tmp_path, clusters):
    everyone = range(N_SPEAKERS)
    paper = version(tmp_path / "p", [48, 42, 6], everyone)
    (found,) = told(paper, version(tmp_path / "c", 30, everyone, runs=(0, 1)), clusters)
    assert (found["n_runs"], found["with_leak"], found["premium"]) == (2, "75.00", "25.00")
    assert "one run" not in found["note"]


def test_runs_that_change_speakers_with_each_other_are_not_drawn_alike(tmp_path, clusters):
    """All speakers are tested in both versions, and in no run the same."""
    halves = [range(6), range(6, 12)]
    paper, clean = version(tmp_path / "p", 48, halves, (0, 1)), version(tmp_path / "c", 30, halves[::-1], (0, 1))
    (found,) = told(paper, clean, clusters)
    assert found["drawn"] == "apart"


def test_corpora_are_drawn_alike_where_all_of_a_mean_are(tmp_path):
    """The speakers of the one corpus are the same in both versions, those of the other are not."""
    clusters, of_versions = {}, {"paper": [], "clean": []}
    for corpus, tested in (("toy", {"paper": range(6), "clean": range(6)}),
                           ("other", {"paper": range(6), "clean": range(6, 12)})):  # fmt: skip
        names = {speaker: [f"{corpus}{speaker:02d}_{i}" for i in range(OF_EACH)] for speaker in range(12)}
        rows = [{UTTERANCE: name, "speaker": f"s{speaker:02d}"} for speaker in names for name in names[speaker]]
        clusters |= clusters_by_corpus([write_utterances(tmp_path / corpus, corpus=corpus, rows=rows)], UNIT)
        for which, speakers in tested.items():
            said = [(name, np.eye(3)[0].tolist(), 0) for speaker in speakers for name in names[speaker]]
            files = write_cell(tmp_path / which / corpus, {**CELL, "corpus": corpus}, [predicted(said)])
            of_versions[which].append(read_predictions(files.predictions))
    for where, drawn in ((("toy", "other"), "apart"), (("toy",), "alike"), (("other",), "apart")):
        table = LAYOUT._replace(where={"corpus": where})
        paper, clean = (Version(table, cells) for cells in of_versions.values())
        (found,) = told(paper, clean, clusters)
        assert found["drawn"] == drawn


def test_stand_ins_are_marked(tmp_path):
    rows = [
        {UTTERANCE: f"s{speaker:02d}_{i}", "speaker": f"s{speaker:02d}"} for speaker in range(6) for i in range(OF_EACH)
    ]
    clusters = clusters_by_corpus([write_utterances(tmp_path / "corpus", rows=rows, synthetic=True)], UNIT)
    (found,) = told(version(tmp_path / "p", 48, range(6)), version(tmp_path / "c", 30, range(6)), clusters)
    assert found["note"].startswith("synthetic; ")


def test_a_cell_that_has_no_value_has_no_premium(tmp_path, clusters):
    """Nor has it runs."""
    absent = Heading(("B",), {"system": "b"}, without={"wa": "it says nothing"})
    layout = LAYOUT._replace(rows=[*LAYOUT.rows, absent])
    paper, clean = (version(tmp_path / name, right, range(6), layout=layout) for name, right in (("p", 48), ("c", 30)))
    assert [row["row"] for row in told(paper, clean, clusters)] == ["A"]


def test_rows_are_held_against_themselves_and_not_against_their_baselines(tmp_path, clusters):
    """A row may be tested on other speakers than the row that it is compared with elsewhere."""
    other = Heading(("B",), {"system": "b"}, baseline=("A",))
    layout = LAYOUT._replace(rows=[*LAYOUT.rows, other])

    def both(folder, right):
        own = version(folder, right, range(12), layout=layout)
        said = [(f"s{speaker:02d}_{i}", np.eye(3)[0].tolist(), 0) for speaker in range(6) for i in range(OF_EACH)]
        files = write_cell(folder, {**CELL, "system": "b"}, [predicted(said, run) for run in (0, 1, 2)])
        return own._replace(cells=[*own.cells, read_predictions(files.predictions)])

    found = told(both(tmp_path / "p", 48), both(tmp_path / "c", 30), clusters)
    assert [(row["row"], row["premium"], row["n_speakers"]) for row in found] == [("A", "30.00", 12), ("B", "0.00", 6)]


def test_of_columns_of_one_name_the_first_is_told(tmp_path, clusters):
    """Folds may be called alike: UA stands behind WA here."""

    def doubled(first, second):
        columns = [Heading((name,), {"measure": name}, printed=("score",)) for name in (first, second)]
        return LAYOUT._replace(columns=columns)

    paper = version(tmp_path / "p", 48, range(12), layout=doubled("wa", "ua"))
    clean = version(tmp_path / "c", 30, range(12), layout=doubled("wa", "ua"))
    (found,) = told(paper, clean, clusters)
    assert (found["column"], found["measure"]) == ("score", "wa")


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
