"""Put a table of the workflow into the README, between its marks, with the time that it took.

``make readme TOOK="8 min 20 s"``, or ``python benchmarks/_readme.py --results FOLDER``: reads table1.csv and writes the
README. Where columns are too many, those over all corpora together are shown.
"""

import argparse
import csv
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- table1: `make readme` fills this from results/table1.csv -->", "<!-- /table1 -->"
_NAMES = 2
_MOST_COLUMNS = 8
_OVERALL = "Overall"


def as_markdown(rows: list[list[str]]) -> str:
    """Return a table with its heading first; numbers stand to the right."""
    head, *body = rows
    rule = ["---"] * _NAMES + ["---:"] * (len(head) - _NAMES)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *body])


def shown(rows: list[list[str]]) -> list[list[str]]:
    """Return the columns to show: all, or of very many those over all corpora."""
    head = rows[0]
    kept = list(range(len(head)))
    if len(head) > _MOST_COLUMNS:
        kept = [place for place in kept if place < _NAMES or head[place].startswith(_OVERALL)]
    return [[row[place] for place in kept] for row in rows]


def filled(readme: str, rows: list[list[str]], took: str | None) -> str:
    """Return the README with the table between its marks.

    Raises
    ------
    ValueError
        If the marks are not there, once each.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"the README needs one {BEGIN} and one {END}")
    said = (
        "UA in percent, mean over the noise profiles h1 to h3 and by profile"
        if len(rows[0]) > _MOST_COLUMNS
        else "UA in percent"
    )
    time = f"; `make table1` took {took} on two cores" if took else ""
    block = f"{BEGIN}\n{as_markdown(shown(rows))}\n\n{said}{time}.\n{END}"
    return re.sub(re.escape(BEGIN) + r".*?" + re.escape(END), lambda _: block, readme, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=CHECKOUT / "results")
    parser.add_argument("--took", help="how long it took, such as '8 min 20 s'")
    arguments = parser.parse_args()
    with (arguments.results / "table1.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    readme = CHECKOUT / "README.md"
    readme.write_text(filled(readme.read_text(encoding="utf-8"), rows, arguments.took), encoding="utf-8")


if __name__ == "__main__":
    main()
