"""Embeddings are read back fit by fit, with the labels of their own utterances."""

import numpy as np
import pytest

from made_up_runs import predicted, write_cell
from serflow.errors import StoreError
from serflow.runs.embeddings import read_embedded, silhouette

LABELS = {"a": "low", "b": "mid", "c": "low", "d": "high"}
SPEAKERS = {"a": "s1", "b": "s2", "c": "s2", "d": "s1"}


def embedded(run, fold, role, vectors):
    """Return a fit with a vector of each named utterance."""
    names = list(vectors)
    rows = [(name, np.eye(3)[["low", "mid", "high"].index(LABELS[name])], 0) for name in names]
    found = predicted(rows, run, fold, role=role, more={"speaker": [SPEAKERS[name] for name in names]})
    return found._replace(tested=[found.tested[0]._replace(vectors=np.array(list(vectors.values())))])


def write(folder, fits, name="one"):
    files = write_cell(folder, {"system": name}, fits, embeddings=True)
    return files.embeddings, files.predictions


def test_each_fit_has_its_own_utterances_in_the_order_of_the_file(tmp_path):
    both = embedded(1, "x", "val", {"a": (9, 9)})
    both = both._replace(tested=[*both.tested, *embedded(1, "x", "test", {"d": (1, 2), "b": (3, 4)}).tested])
    first, second = read_embedded(*write(tmp_path, [both, embedded(0, "y", "test", {"b": (5, 6)})]), "test")
    assert (first.run, first.fold, first.utterances) == (1, "x", ["d", "b"])
    assert (first.emotions, first.speakers) == (["high", "mid"], ["s1", "s2"])
    np.testing.assert_array_equal(first.vectors, [(1, 2), (3, 4)])
    assert (second.run, second.fold, second.emotions) == (0, "y", ["mid"])
    np.testing.assert_array_equal(second.vectors, [(5, 6)])


def test_files_of_two_cells_or_without_the_role_are_refused(tmp_path):
    one, other = (write(tmp_path, [embedded(0, "x", "val", {"a": (1, 2)})], name) for name in ("one", "other"))
    with pytest.raises(StoreError, match="holds no test utterances"):
        read_embedded(*one, "test")
    with pytest.raises(StoreError, match=r"other/predictions\.parquet: cell is"):
        read_embedded(one[0], other[1], "val")


def test_silhouettes_say_how_far_groups_lie_apart():
    apart = np.repeat([[0.0, 0.0], [9.0, 9.0]], 5, 0) + np.random.default_rng(0).normal(size=(10, 2)) * 0.1
    assert silhouette(apart, ["a"] * 5 + ["b"] * 5) > 0.9
    assert silhouette(apart, ["a"] * 10) is None
