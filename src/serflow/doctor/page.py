"""An examination on one page of a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from serflow.doctor.findings import Examination, Finding, Mark, Section
from serflow.inspection.description import print_table

_STYLES = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.WRONG: "bold red"}
_ORDER = {mark: order for order, mark in enumerate(reversed(Mark))}
_INDENT = 6
_LONGEST = 320
"""Signs of a finding on the page; details show all of it."""


def print_page(console: Console, examination: Examination, *, details: bool = False) -> None:
    """Write it to a terminal: a line a finding, and below it what to type.

    Parameters
    ----------
    console
        The terminal.
    examination
        What was found.
    details
        Whether tables are shown, and long findings are not cut.
    """
    width = max(len(diagnosis.name) for section in examination.sections for diagnosis in section.diagnoses)
    for section in examination.sections:
        _print_section(console, section, width, details)
    if details:
        for section in examination.sections:
            for diagnosis in section.diagnoses:
                for table in diagnosis.tables:
                    console.print()
                    print_table(console, table)
    console.print(_verdict(examination))


def _print_section(console: Console, section: Section, width: int, details: bool) -> None:
    remark = f"  [dim]{escape(section.remark)}[/dim]" if section.remark else ""
    console.print(f"[bold]{section.title}[/bold]{remark}")
    for diagnosis in section.diagnoses:
        # the worst first, so that the name stands beside it
        for number, finding in enumerate(sorted(diagnosis.findings, key=lambda each: _ORDER[each.mark])):
            grid = Grid.grid(padding=(0, 1))
            grid.add_column(width=max(map(len, Mark)), no_wrap=True)
            grid.add_column(width=width, no_wrap=True)
            grid.add_column(overflow="fold")
            mark = f"[{_STYLES[finding.mark]}]{finding.mark}[/]"
            grid.add_row(
                mark, "" if number else escape(diagnosis.name), escape(_said(diagnosis.name, finding, details))
            )
            console.print(grid)
            for step in finding.steps:
                # whole, so that it can be copied
                console.print(f"{'':{_INDENT}}[cyan]{escape(step)}[/cyan]", soft_wrap=True)


def _said(name: str, finding: Finding, details: bool) -> str:
    if details or len(finding.said) <= _LONGEST:
        return finding.said
    return f"{finding.said[:_LONGEST]}... (whole: serflow doctor {name})"


def _verdict(examination: Examination) -> str:
    wrong, notes = examination.count(Mark.WRONG), examination.count(Mark.NOTE)
    noted = f", {notes} {'note' if notes == 1 else 'notes'}" if notes else ""
    stops = f"[bold red]{wrong} wrong, which would stop a run[/]" if wrong else "[green]nothing wrong[/]"
    return f"{stops}{noted} ({escape(examination.of)})"
