"""Run benchmarks and hold their ratios against the ones recorded last.

``python benchmarks/_record.py [--record] BENCHMARK.py [...] [-- ARGUMENTS]``: each prints its JSON lines as it goes; at
the end comes a table with a line a comparison, the ratio recorded last beside it, and a mark where speed fell by more
than a fifth. ``--record`` adds the lines to ``benchmarks/recorded.jsonl``, with processor, versions and commit. What
was recorded on the processor at hand counts, else what was recorded last on another, which is said.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from _costs import processor, source

RECORDED = Path(__file__).with_name("recorded.jsonl")
FELL = 0.2

Line = Mapping[str, Any]


class Comparison(NamedTuple):
    """A line beside the one recorded last; ``change`` is how much faster (or smaller) ours became, 1 for as fast."""

    line: Line
    last: Line | None
    change: float | None

    @property
    def fell(self) -> bool:
        """Whether it fell by more than a fifth."""
        return self.change is not None and self.change < 1 - FELL


def more_is_better(unit: str) -> bool:
    """Tell whether a larger value of a unit is the better one: of speeds, and of shares that are right."""
    return unit.endswith("/s") or unit.startswith(("UA", "cosine"))


def value_of(line: Line) -> float:
    """Return what is compared between runs: the ratio to a peer, which the machine changes least; else the value."""
    return float(line["ratio"] if "ratio" in line else line["ours"])


def last_of(recorded: Iterable[Line], name: str, on: str) -> Line | None:
    """Return the line of a name that was recorded last on a processor; where there is none, on any."""
    named = [line for line in recorded if line["name"] == name]
    own = [line for line in named if line["processor"] == on]
    return next(reversed(own or named), None)


def compare(lines: Iterable[Line], recorded: Iterable[Line], on: str) -> list[Comparison]:
    """Put beside each line the one recorded last."""
    known = list(recorded)
    found = []
    for line in lines:
        last = last_of(known, line["name"], on)
        change = None
        if last is not None and value_of(last) and value_of(line):
            change = value_of(line) / value_of(last)
            if not more_is_better(line["unit"]):
                change = 1 / change
        found.append(Comparison(line, last, change))
    return found


def read_recorded() -> list[Line]:
    """Return all that was recorded, the oldest first."""
    return [json.loads(line) for line in RECORDED.read_text().splitlines()] if RECORDED.is_file() else []


def run(benchmark: str, arguments: list[str]) -> list[Line]:
    """Run a benchmark, passing its lines on as they come.

    Raises
    ------
    SystemExit
        If it fails.
    """
    lines = []
    with subprocess.Popen([sys.executable, benchmark, *arguments], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for text in running.stdout:
            print(text, end="", flush=True)
            if text.startswith("{"):
                lines.append(json.loads(text))
    if running.returncode:
        raise SystemExit(f"{benchmark} failed")
    return lines


def apart(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before the first ``--``, which are this script's, and those after it, as they came."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def table_of(comparisons: Iterable[Comparison], on: str) -> Table:
    """Return what is printed at the end."""
    table = Table("comparison", "ours", "peer", "unit", "ratio", "last", "", title=f"on {on}")
    table.columns[0].overflow = "fold"
    for comparison in comparisons:
        line, last, change = comparison
        said = "new" if last is None else "" if last["processor"] == on else f"of {last['processor']}"
        if comparison.fell:
            assert change is not None
            said = f"[bold red]fell by {1 - change:.0%}[/] {said}"
        before = None if last is None else value_of(last)
        shown = (line["ours"], line.get("peer"), line["unit"], line.get("ratio"), before)
        table.add_row(line["name"], *("" if value is None else str(value) for value in shown), said)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="add what is found to benchmarks/recorded.jsonl")
    parser.add_argument("benchmarks", nargs="+", help="files, then -- and what each of them is given")
    own, given = apart(sys.argv[1:])
    arguments = parser.parse_args(own)
    lines = [line for benchmark in arguments.benchmarks for line in run(benchmark, given)]
    comparisons = compare(lines, read_recorded(), processor())
    Console().print(table_of(comparisons, processor()))
    if arguments.record:
        with open(RECORDED, "a") as file:
            for line in lines:
                file.write(json.dumps({**line, "processor": processor(), "source": source()}) + "\n")
    if any(comparison.fell for comparison in comparisons):
        raise SystemExit("some fell by more than a fifth: see the table")


if __name__ == "__main__":
    main()
