from io import StringIO
from pathlib import Path

from rich.console import Console

from serflow.inspection.description import Description, Table, print_table

REMARK = "synthetic stand-in: not compared; stand-in weights of allosaurus, wav2vec, byol: not compared"
COLUMNS = ["model", "column", "measure", "value", "low", "high", "difference_low", "difference_high", "n_utterances",
           "n_clusters", "replicates", "paper", "note"]  # fmt: skip
ROWS = [
    [model, f"{language} UA", "ua", f"{value:.2f}", "10.00", f"{value + 9:.2f}", f"{value / 10:.3f}",
     f"{value / 7:.3f}", str(int(value)), str(int(value) + 1), "1000", "", REMARK if language == "German" else ""]
    for value, model in ((30.0, "Base"), (4.5, "SER_SR_CGT"))
    for language in ("German", "French")
]  # fmt: skip


def printed(table, width=80):
    file = StringIO()
    print_table(Console(file=file, width=width, highlight=False), table)
    return file.getvalue()


def test_a_wide_table_is_read_at_80_columns():
    text = printed(Table("Rows", COLUMNS, ROWS))
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for row in ROWS:
        for cell in [*row[:2], row[3], *row[5:10]]:
            assert set(cell.split()) <= set(words), cell
    # each block names its rows, by all columns that do
    assert text.count("SER_SR_CGT") == 2 * text.count("model")
    assert text.count("German UA") == 2 * text.count("model")
    assert text.count("model") > 1
    assert text.count("30.00") == 2
    assert {"difference_", "utterances"} <= set(words)


def test_a_long_remark_stands_once_below_the_table():
    text = printed(Table("Rows", COLUMNS, ROWS))
    assert " ".join(text.split()).count(REMARK) == 1
    assert text.count("[1]") == 3


def test_what_is_the_same_in_all_rows_is_said_once():
    said = " ".join(printed(Table("Rows", COLUMNS, ROWS)).split("In all rows: ")[1].split())
    assert said == "measure ua, low 10.00, replicates 1000, paper (empty)"


def test_a_table_that_fits_is_one_block_with_all_its_columns():
    text = printed(Table("Rows", ["name", "n", "same"], [["a", 1, "x"], ["b", 22, "x"]]))
    assert [line.split() for line in text.splitlines()] == [
        ["Rows"], ["name", "n", "same"], ["\N{BOX DRAWINGS LIGHT HORIZONTAL}" * 16], ["a", "1", "x"], ["b", "22", "x"]
    ]  # fmt: skip


def test_numbers_stand_to_the_right_whether_they_are_numbers_or_texts_of_a_csv():
    for rows in ([["a", 1], ["b", 2222]], [["a", "1"], ["b", "2222"]]):
        lines = printed(Table("Rows", ["name", "n"], rows)).splitlines()
        assert len({len(line.rstrip()) for line in lines[3:]}) == 1


def test_numbers_that_name_rows_stand_in_each_block_and_scores_of_a_csv_do_not():
    columns = ["Experiment", "Method", *(f"Corpus {n} (synthetic, stand-in weights) UA" for n in range(8))]
    rows = [[n, name, *(f"{value}.{n}5" for value in range(50, 58))] for n, name in (("1", "Single"), ("2", "DANN"))]
    text = printed(Table("Rows", columns, rows))
    assert text.count("DANN") == text.count("Experiment") > 1
    assert text.count("50.15") == text.count("57.25") == 1


def test_a_path_stands_beside_its_heading_or_where_it_does_not_fit_below():
    for path, lines in (("a/b.csv", ["table  a/b.csv"]), ("x" * 80, ["table", "x" * 80])):
        file = StringIO()
        Description(Path(path), "csv", "table").print(Console(file=file, width=80, highlight=False))
        assert file.getvalue().splitlines() == lines
