import numpy as np
import pytest

from serflow.errors import TrainingError
from serflow.noise.plan import CONDITIONS
from serflow.protocols.folds import FitName, FoldRows
from serflow.studies.dlc.protocol import FOLDS, check_rows, folds, places_among, seen_conditions

GENERATOR = np.random.default_rng(0)
DRAWN = GENERATOR.integers(len(CONDITIONS), size=300)
ROLES = {
    run: np.array([("train", "val", "test", "")[place] for place in GENERATOR.choice(4, 300, p=[0.6, 0.1, 0.2, 0.1])])
    for run in (0, 3)
}


def fits(experiment, predicts="emotion"):
    return list(folds(experiment, DRAWN, ROLES, predicts=predicts))


@pytest.mark.parametrize("predicts", ["emotion", "condition"])
@pytest.mark.parametrize("experiment", ["exp1", "exp2"])
def test_no_utterance_has_two_roles(experiment, predicts):
    for rows in fits(experiment, predicts):
        placed = np.concatenate([*rows.roles().values()])
        assert len(np.unique(placed)) == len(placed)
        # nobody is moved from one role of the split to another
        for role, part in rows.roles().items():
            assert (ROLES[rows.fit.run][part] == role).all()


def test_a_fit_for_each_run_and_held_out_condition():
    assert [rows.fit for rows in fits("exp1")] == [FitName(0, "none"), FitName(3, "none")]
    assert [rows.fit for rows in fits("exp2")] == [FitName(run, fold) for run in (0, 3) for fold in CONDITIONS]
    assert FOLDS["exp2"] == CONDITIONS


@pytest.mark.parametrize("predicts", ["emotion", "condition"])
def test_in_experiment_1_all_noise_is_known(predicts):
    for rows in fits("exp1", predicts):
        for role, part in rows.roles().items():
            assert part.tolist() == np.flatnonzero(ROLES[rows.fit.run] == role).tolist()


def test_in_experiment_2_the_held_out_condition_alone_is_the_test():
    for rows in fits("exp2"):
        held = CONDITIONS.index(rows.fit.fold)
        of_run = ROLES[rows.fit.run]
        assert rows.test.tolist() == np.flatnonzero((of_run == "test") & (held == DRAWN)).tolist()
        assert rows.train.tolist() == np.flatnonzero((of_run == "train") & (held != DRAWN)).tolist()
        assert rows.val.tolist() == np.flatnonzero((of_run == "val") & (held != DRAWN)).tolist()
    # over the folds of a run, each test utterance is tested once
    tested = np.concatenate([rows.test for rows in fits("exp2") if rows.fit.run == 3])
    assert sorted(tested.tolist()) == np.flatnonzero(ROLES[3] == "test").tolist()


def test_the_noise_classifier_is_tested_on_all_test_utterances():
    """It routes those of the held-out condition too, which it has not heard."""
    for rows in fits("exp2", "condition"):
        held = CONDITIONS.index(rows.fit.fold)
        assert rows.test.tolist() == np.flatnonzero(ROLES[rows.fit.run] == "test").tolist()
        assert not (DRAWN[np.concatenate([rows.train, rows.val])] == held).any()


def test_the_conditions_of_training_have_their_own_numbers():
    assert seen_conditions("none") == (0, 1, 2)
    assert seen_conditions(CONDITIONS[1]) == (0, 2)
    assert places_among((0, 2), np.array([0, 1, 2, 2])).tolist() == [0, -1, 1, 1]


def rows(train=(0, 1, 2), val=(3,), test=(4,), fold="none"):
    return FoldRows(FitName(0, fold), *(np.array(part, dtype=np.int64) for part in (train, val, test)))


@pytest.mark.parametrize("role", ["train", "val", "test"])
def test_a_fit_without_a_role_is_refused(role):
    with pytest.raises(TrainingError, match=f"run 0, held-out condition none: no {role} utterances"):
        check_rows(rows(**{role: ()}), np.array([0, 1, 2, 0, 0]))


def test_a_fit_that_does_not_hear_a_condition_is_refused():
    conditions = np.array([0, 0, 2, 0, 1])
    with pytest.raises(TrainingError, match=f"no training utterance has {CONDITIONS[1]} noise"):
        check_rows(rows(), conditions)
    check_rows(rows(fold=CONDITIONS[1]), conditions)
