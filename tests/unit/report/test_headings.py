import json

import pytest

from serflow.report.headings import Heading, Layout, full_name, merged, why_absent

LAYOUT = Layout(
    corner=("Experiment", "Method"),
    rows=[
        Heading(("1", "Single"), {"method": "single", "measure": "ua"}),
        Heading(
            ("1", "HFFN"), {"method": "hffn", "measure": "ua"}, ("1", "Single"), {"emodb": "no turns"}, ("not a row",)
        ),
    ],
    columns=[Heading(("Overall", "h1"), {"corpus": ("iemocap", "emodb"), "profile": "h1"})],
    where={"role": "test"},
    over_folds="pooled",
    show="mean_std",
    departures={"emodb": ["optimiser adam"]},
    beside="spans",
)


def test_a_layout_survives_json():
    again = Layout.from_json(json.loads(json.dumps(LAYOUT.to_json())))
    assert again.corner == LAYOUT.corner
    assert again.rows == LAYOUT.rows
    assert [column.name for column in again.columns] == [("Overall", "h1")]
    assert merged(again.columns[0].where) == merged(LAYOUT.columns[0].where)
    assert again[3:] == LAYOUT[3:]
    assert json.dumps(again.to_json()) == json.dumps(LAYOUT.to_json())


def test_a_name_in_one_piece():
    assert full_name(LAYOUT.columns[0]) == "Overall h1"
    assert full_name(Heading(("val",), {})) == "val"


def test_what_table_row_and_column_take_in():
    assert merged({"role": "test"}, {"method": "a"}, {"corpus": ["x", "y"], "role": "val"}) == {
        "role": ("val",), "method": ("a",), "corpus": ("x", "y"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("corpus", "said"),
    [("emodb", "n/a: no turns"), (("iemocap", "emodb"), "n/a: no turns"), ("iemocap", None), (("iemocap",), None)],
)
def test_a_row_may_be_without_a_column_and_a_column_without_a_row(corpus, said):
    row, column = LAYOUT.rows[1], Heading(("x",), {"corpus": corpus})
    assert why_absent(row, column) == said
    assert why_absent(column, row) == said
    assert why_absent(LAYOUT.rows[0], column) is None
