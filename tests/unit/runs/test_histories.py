import pytest

from made_up_runs import fit, write_cell
from serflow.errors import StoreError
from serflow.runs.histories import read_history


def history_of(folder, *histories):
    results = [fit(run, "none", history=rows) for run, rows in enumerate(histories)]
    return write_cell(folder, {"system": "a"}, results).history


def rows(*values, **more):
    return [{"period": period, "val_ua": value, **more} for period, value in enumerate(values)]


def test_curves_are_in_percent_by_fit_and_period(tmp_path):
    path = history_of(tmp_path, rows(0.25, 0.5), rows(0.75))
    found = read_history(path, "val_ua")
    assert found["fit"].tolist() == [f"{path}/0/none", f"{path}/0/none", f"{path}/1/none"]
    assert found["period"].tolist() == [0, 1, 0]
    assert found["value"].tolist() == [25.0, 50.0, 75.0]


def test_of_stages_the_last_counts(tmp_path):
    """Stages differ between networks by name; earlier ones may not have the value."""
    staged = [{"stage": "encoder", "period": 0, "loss": 1.0}, *rows(0.5, 0.25, stage="fusion")]
    whole = rows(1.0, stage="all")
    assert read_history(history_of(tmp_path, staged, whole), "val_ua")["value"].tolist() == [50.0, 25.0, 100.0]


def test_a_period_without_the_value_is_refused(tmp_path):
    path = history_of(tmp_path, [*rows(0.5), {"period": 1, "loss": 1.0}])
    with pytest.raises(StoreError, match=r"history\.parquet: no val_ua in some period"):
        read_history(path, "val_ua")


def test_a_history_without_the_value_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no val_wer; delete it"):
        read_history(history_of(tmp_path, rows(0.5)), "val_wer")


def test_what_has_no_periods_has_no_curve(tmp_path):
    found = read_history(history_of(tmp_path, []), "val_ua")
    assert list(found) == ["fit", "period", "value"]
    assert found.empty


def test_another_file_is_refused(tmp_path):
    predictions = write_cell(tmp_path, {"system": "a"}, [fit()]).predictions
    with pytest.raises(StoreError, match="kind is 'predictions' where 'history' was asked for"):
        read_history(predictions, "val_ua")
