"""Say in a line a paper how its claims and checks come out in a folder of results: for the README and docs/free.md.

    snakemake --cores 2 claims qc
    python benchmarks/verdicts.py --results results

Reads ``{study}/claims.csv`` and ``qc/{study}.csv``; of a paper that has neither it says so.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from serflow.config import Config

VERDICTS = ("holds", "does not hold", "within noise", "cannot tell")
SEVERITIES = {"3": "wrong", "2": "doubtful", "1": "to look at"}
NOT_RUN = "not run"


def claims_line(rows: Sequence[dict[str, str]]) -> str:
    """Return how many claims come out how, and on what data; a claim has a row a number."""
    verdict_of = {row["claim"]: row["verdict"] for row in rows}
    counts = Counter(verdict_of.values())
    marks = dict.fromkeys(mark for row in rows for mark in row["marks"].split("; ") if mark)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"of {len(verdict_of)} claims {told}" + (f" ({'; '.join(marks)})" if marks else "")


def checks_line(rows: Sequence[dict[str, str]]) -> str:
    """Return how many checks find something, the worst first."""
    counts = Counter(row["severity"] for row in rows)
    found = ", ".join(f"{counts[severity]} {word}" for severity, word in SEVERITIES.items() if counts[severity])
    return f"of {len(rows)} checks {found or 'none finds anything'}"


def paper_line(results: Path, study: str) -> str:
    """Return what a folder of results tells of a paper; `NOT_RUN` where it holds neither its claims nor its checks."""
    files = {claims_line: results / study / "claims.csv", checks_line: results / "qc" / f"{study}.csv"}
    told = []
    for line, path in files.items():
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                told.append(line(list(csv.DictReader(file))))
    return "; ".join(told) or NOT_RUN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    for study, plan in Config().plans().items():
        print(f"{plan.title}: {paper_line(arguments.results, study)}")


if __name__ == "__main__":
    main()
