"""Confusion matrices and who stands in their squares."""

import numpy as np
import pytest

from made_up_page import CLASSES, N, names, posteriors, write_cells
from made_up_runs import fit, write_cell
from serflow.report.page.squares import heard, order, read_squares
from serflow.runs import artefacts
from serflow.training.metrics import tally

CELL = {"corpus": "near", "group": "one", "method": "alone", "profile": "clean"}


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory):
    return write_cells(tmp_path_factory.mktemp("runs"))


def test_counts_are_of_all_test_utterances_and_of_no_others(predictions):
    found = read_squares(predictions[0], 3, "clean")
    said = posteriors(CELL).argmax(1)
    expected = np.zeros((2, 2), int)
    for i in range(N):
        expected[i % 2, said[i]] += 1
    np.testing.assert_array_equal(found.counts, expected)
    assert (found.classes, found.cell) == (list(CLASSES), CELL)


def test_a_square_lists_its_own_utterances_and_no_more_than_asked(predictions):
    found = read_squares(predictions[0], 3, "clean")
    said = posteriors(CELL)
    for (row, column), listed in found.listed.items():
        assert len(listed) == min(3, found.counts[row, column])
        for one in listed:
            place = names("near").index(one.utterance)
            assert (place % 2, said[place].argmax()) == (row, column)
            assert one.posterior == tuple(said[place])
    assert sum(map(len, read_squares(predictions[0], 1000, "clean").listed.values())) == N


def test_those_listed_are_the_first_whatever_the_order_of_the_file(tmp_path):
    utterances = [f"u{i}" for i in range(40)]
    listed = []
    for place, shuffled in enumerate((utterances, utterances[::-1])):
        targets = np.eye(2)[np.zeros(20, int)]
        parts = [artefacts.Tested("test", shuffled[k : k + 20], targets, targets) for k in (0, 20)]
        results = [
            fit(run, tallies={"prediction": tally(targets, targets.argmax(1))}, tested=[part], classes=CLASSES)
            for run, part in enumerate(parts)
        ]
        files = write_cell(tmp_path / str(place), CELL, results, classes=CLASSES)
        listed.append([one.utterance for one in read_squares(files.predictions, 5, "clean").listed[0, 0]])
    assert listed[0] == listed[1] == sorted(utterances, key=order)[:5]


def test_words_of_the_studys_own_are_kept(predictions):
    adversary = next(path for path in predictions if "adversary" in path.parts)
    (listed, *_) = read_squares(adversary, 1, "clean").listed.values()
    assert listed[0].words[0][0] == "heard"


def test_few_utterances_are_heard_and_every_square_has_one(predictions):
    cells = [read_squares(path, 12, "clean") for path in predictions]
    chosen = heard(cells, 2)
    for cell in cells:
        for found in cell.listed.values():
            audible = [one for one in found if one.utterance in chosen[cell.cell["corpus"]]]
            assert len(audible) >= min(2, len(found))
    # two of each square of eight cells would be up to 64
    assert sum(map(len, chosen.values())) < 40
    assert heard(cells, 0) == {"near": {}, "far": {}}
