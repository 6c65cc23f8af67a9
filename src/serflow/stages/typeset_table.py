"""Stage: a table as LaTeX and as Markdown. ``python -m serflow.stages.typeset_table --help``."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import serflow
from serflow.files import digested_path, sha256_file
from serflow.report.page.grids import read_csv
from serflow.report.typeset import latex, markdown
from serflow.stage import run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--tex`` and ``--markdown``."""
    heading, rows = read_csv(arguments.csv)
    comments = list(provenance(arguments))
    for path, text in (
        (arguments.tex, latex(heading, rows, comments)),
        (arguments.markdown, markdown(heading, rows, comments)),
    ):
        with digested_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def provenance(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield what the table is made from: its file, the code and settings behind it, and all notes of the comparison."""
    yield f"{arguments.csv.parent.name}/{arguments.csv.name}, SHA-256 {sha256_file(arguments.csv)}"
    yield f"serflow {serflow.__version__}, code {arguments.made_by}, settings {arguments.settings}"
    if arguments.comparison is not None:
        heading, rows = read_csv(arguments.comparison)
        notes = [row[heading.index("note")] for row in rows] if "note" in heading else []
        yield from dict.fromkeys(part for note in notes for part in note.split("; ") if part)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--csv", type=Path, required=True, help="the table")
    parser.add_argument("--comparison", type=Path, default=None, help="the table beside the paper's, for its notes")
    parser.add_argument("--made-by", required=True, help="fingerprint of the code that trained and tabulated it")
    parser.add_argument("--settings", required=True, help="digest of what all cells are trained with")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--tex", type=Path, required=True, help="output: LaTeX")
    parser.add_argument("--markdown", type=Path, required=True, help="output: Markdown")
    run_stage(parser, main)
