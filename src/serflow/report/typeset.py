"""Tables as LaTeX and as Markdown, with comments that say what they are made from."""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?: ± \d+(?:\.\d+)?)?")
_NO_NUMBER = ("", "n/a")
LATEX = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': "''"},
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"±": r"$\pm$", "×": r"$\times$", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$"},  # noqa: RUF001  # as tables print
    **{"α": r"$\alpha$", "β": r"$\beta$", "ε": r"$\epsilon$", "λ": r"$\lambda$"},  # noqa: RUF001
    **{"₁": r"$_1$", "₂": r"$_2$"},
}
"""What stands for characters that LaTeX takes for commands, or that its text fonts lack; T1 is not asked for."""
_MARKDOWN = str.maketrans({"\\": "\\\\", "|": "\\|", "*": "\\*", "<": "&lt;", "`": "\\`"})
# behind a line's end LaTeX takes these for an option of it
_TAKEN_FOR_OPTIONS = ("[", "*")


def alignments(rows: Sequence[Sequence[str]], n_columns: int) -> str:
    """Return a letter a column: ``r`` where all cells are numbers or absent, else ``l``."""
    return "".join("r" if rows and all(_is_number(row[place]) for row in rows) else "l" for place in range(n_columns))


def _is_number(cell: str) -> bool:
    return cell in _NO_NUMBER or _NUMBER.fullmatch(cell) is not None


def latex_text(text: str) -> str:
    """Return a text as LaTeX prints it; line ends become blanks."""
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def _latex_row(cells: Sequence[str]) -> str:
    first, *others = map(latex_text, cells)
    first = f"{{}}{first}" if first.startswith(_TAKEN_FOR_OPTIONS) else first
    return rf"{' & '.join([first, *others])} \\"


def latex(heading: Sequence[str], rows: Sequence[Sequence[str]], comments: Sequence[str] = ()) -> str:
    """Return a table as a ``tabular`` of the package booktabs, below its comments.

    Parameters
    ----------
    heading
        Of the columns, ``(columns,)``.
    rows
        Texts, ``(rows, columns)``.
    comments
        A line each.
    """
    lines = [
        *(f"% {' '.join(comment.split())}" for comment in [*comments, r"needs \usepackage{booktabs}"]),
        rf"\begin{{tabular}}{{{alignments(rows, len(heading))}}}",
        r"\toprule",
        _latex_row(heading),
        r"\midrule",
        *map(_latex_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]], comments: Sequence[str] = ()) -> str:
    """Return a table as Markdown, below its comments; parameters as `latex`."""
    marks = ["---:" if letter == "r" else "---" for letter in alignments(rows, len(heading))]
    # a comment of HTML ends with the first two hyphens and a bracket
    said = [f"<!-- {' '.join(comment.split()).replace('--', '- -')} -->" for comment in comments]
    return "\n".join([*said, *map(_markdown_row, [heading, marks, *rows])]) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).translate(_MARKDOWN) for cell in cells)} |"
