"""What the README and the pages of docs/ say to type: commands, on lines of their own or in the text, and blocks."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(?P<kind>\w*)(?P<file> file=\S+)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^    (\S.*)$", re.MULTILINE)
_IN_TEXT = re.compile(r"`([^`]+)`")
PROGRAMS = ("make", "snakemake", "serflow", "python", "pip")


class Block(NamedTuple):
    """A fenced block; ``is_file``: it is a file of a checkout that a page builds."""

    page: str
    kind: str
    is_file: bool
    text: str


class Command(NamedTuple):
    """A command by its words, the program first; ``alone``: on a line of its own, remarks left out."""

    page: str
    words: tuple[str, ...]
    alone: bool

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks() -> list[Block]:
    return [
        Block(page.name, found["kind"], found["file"] is not None, found["text"])
        for page in PAGES
        for found in _FENCE.finditer(text_of(page))
    ]


def commands(program: str) -> list[Command]:
    """Return the commands of a program, each once a page; ``make ...`` is none."""
    found: dict[Command, None] = {}
    for page in PAGES:
        text = _FENCE.sub("", text_of(page))
        lines = [(line, True) for line in _LINE.findall(text)]
        inline = [(" ".join(code.split()), False) for code in _IN_TEXT.findall(_LINE.sub("", text))]
        for code, alone in [*lines, *inline]:
            if code.split()[0] == program and "..." not in code:
                found[Command(page.name, tuple(shlex.split(code, comments=alone)), alone)] = None
    return list(found)


def other_lines() -> list[tuple[str, str]]:
    """Return the indented lines that are commands of no known program, by page."""
    return [
        (page.name, line)
        for page in PAGES
        for line in _LINE.findall(_FENCE.sub("", text_of(page)))
        if line.split()[0] not in PROGRAMS
    ]
