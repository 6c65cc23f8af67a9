import numpy as np

from serflow.protocols.folds import ROLES, FitName, FoldRows


def test_rows_by_role():
    rows = FoldRows(FitName(2, "session3"), np.array([0, 1]), np.array([], dtype=int), np.array([5]))
    assert list(rows.roles()) == list(ROLES)
    assert [part.tolist() for part in rows.roles().values()] == [[0, 1], [], [5]]


def test_a_fit_is_a_run_and_a_fold():
    assert FitName(2, "session3") == (2, "session3")
