"""Tables as LaTeX and as Markdown: what is escaped, aligned and said above."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from serflow.config import check_config
from serflow.files import check_digest, sha256_file, write_csv
from serflow.report.headings import full_name
from serflow.report.typeset import LATEX, alignments, latex, latex_text, markdown

HEADING = ["Method", "UA (synthetic)", "WA"]
ROWS = [["SER_SR & 50% #1", "57.00 ± 1.00", "n/a"], ["[4] {x} ~ ^ \\ $", "-3.50", ""]]
PLANS = check_config({}).plans()


def test_latex_has_no_character_left_that_it_takes_for_a_command() -> None:
    bare = latex_text("".join(LATEX))
    for made in LATEX.values():
        bare = bare.replace(made, "", 1)
    assert bare == ""
    assert latex_text("a_b & 5 %\nc") == r"a\_b \& 5 \% c"
    assert latex_text("β = 0.1 ± 2") == r"$\beta$ = 0.1 $\pm$ 2"
    # \textquotedbl is an error in the encoding that LaTeX starts with
    assert latex_text('"own"') == "''own''"


def test_a_latex_table_has_as_many_cells_in_each_row() -> None:
    lines = latex(HEADING, ROWS, ["made by\nus"]).splitlines()
    assert lines[:3] == ["% made by us", r"% needs \usepackage{booktabs}", r"\begin{tabular}{lrr}"]
    rows = [line for line in lines if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2, 2, 2]
    # an option of the line's end would begin with a bracket
    assert rows[2].startswith("{}[4] ")
    assert [lines.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [3, 5, 8]
    # braces pair
    text = re.sub(r"\\[{}]", "", "\n".join(lines))
    assert text.count("{") == text.count("}")


def test_a_markdown_table_has_as_many_cells_in_each_row() -> None:
    lines = markdown(["a|b", "c"], [["x*y", "1.0"], ["<z>", "n/a"]], ["so -- it is"]).splitlines()
    assert lines == ["<!-- so - - it is -->", r"| a\|b | c |", "| --- | ---: |", r"| x\*y | 1.0 |", "| &lt;z> | n/a |"]


def test_numbers_stand_on_the_right() -> None:
    assert alignments([["a", "1", "1.5 ± 0.2", "n/a", "1-2"], ["", "-2.5", "", "", "3"]], 5) == "lrrrl"
    assert alignments([], 2) == "ll"


@pytest.mark.parametrize("study", PLANS)
def test_every_name_of_a_table_can_be_typeset(study: str) -> None:
    """What no text font of LaTeX has stands in the list."""
    plan = PLANS[study]
    layouts = [plan.layout(table) for tables in plan.tables for table in tables]
    names = [full_name(heading) for layout in layouts for heading in (*layout.rows, *layout.columns)]
    package = Path(sys.modules["serflow"].__file__ or "").parent
    names += [path.read_text() for path in (package / "studies" / study / "published").glob("table*.csv")]
    assert {character for name in names for character in name if not character.isascii()} <= LATEX.keys()


def test_the_stage_says_what_the_table_is_made_from(tmp_path: Path) -> None:
    table, beside = tmp_path / "dlc/table1.csv", tmp_path / "dlc/table1_vs_paper.csv"
    write_csv(table, HEADING, ROWS)
    notes = ["synthetic stand-in: not compared; epochs 2", "epochs 2"]
    write_csv(beside, ["method", "note"], list(zip("ab", notes, strict=True)))
    outputs = ["--tex", str(tmp_path / "t.tex"), "--markdown", str(tmp_path / "t.md")]
    command = [sys.executable, "-m", "serflow.stages.typeset_table", "--csv", str(table), "--comparison", str(beside)]
    subprocess.run([*command, "--made-by", "abc", "--settings", "def", "--code", "0", *outputs], check=True)
    lines = (tmp_path / "t.tex").read_text().splitlines()
    assert lines[0] == f"% dlc/table1.csv, SHA-256 {sha256_file(table)}"
    assert lines[1].endswith(", code abc, settings def")
    assert lines[2:5] == ["% synthetic stand-in: not compared", "% epochs 2", r"% needs \usepackage{booktabs}"]
    assert (tmp_path / "t.md").read_text().startswith(f"<!-- dlc/table1.csv, SHA-256 {sha256_file(table)} -->\n")
    check_digest(tmp_path / "t.md")
    check_digest(tmp_path / "t.tex")
