"""What was found: a mark, a sentence, and lines to type."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from serflow.inspection.description import Table


class Mark(StrEnum):
    """How a finding counts: ``wrong`` is what would stop a run, ``note`` what a reader must not overlook."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found; ``steps`` are lines to type, or to write into a configuration, as they stand."""

    mark: Mark
    said: str
    steps: tuple[str, ...] = ()


@dataclass(slots=True)
class Diagnosis:
    """What was found of one thing: a corpus, a network, the noise, a part of the machine.

    ``tables`` are details, ``stand_in`` says whether it is one, and ``audio_s`` how much speech (s) a run has yet to
    prepare.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    stand_in: bool = False
    audio_s: float = 0.0

    def ok(self, said: str) -> None:
        """Add what is as it should be."""
        self.findings.append(Finding(Mark.OK, said))

    def note(self, said: str, *steps: str) -> None:
        """Add what a run goes on with."""
        self.findings.append(Finding(Mark.NOTE, said, steps))

    def wrong(self, said: str, *steps: str) -> None:
        """Add what would stop a run."""
        self.findings.append(Finding(Mark.WRONG, said, steps))

    def count(self, mark: Mark) -> int:
        """Return how many findings have a mark."""
        return sum(finding.mark is mark for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Section:
    """Diagnoses of one kind under a heading; ``remark`` says how they were made."""

    title: str
    diagnoses: list[Diagnosis]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was looked at. ``of`` says what the configuration was read from."""

    of: str
    sections: list[Section]

    def count(self, mark: Mark) -> int:
        """Return how many findings have a mark."""
        return sum(diagnosis.count(mark) for section in self.sections for diagnosis in section.diagnoses)

    def as_json(self) -> dict[str, Any]:
        """Return it for ``json.dumps``."""
        return {
            "configuration": self.of,
            "wrong": self.count(Mark.WRONG),
            "notes": self.count(Mark.NOTE),
            "found": [
                {
                    "section": section.title,
                    "name": diagnosis.name,
                    "findings": [
                        {"mark": finding.mark.lower(), "said": finding.said, "steps": finding.steps}
                        for finding in diagnosis.findings
                    ],
                    "tables": [
                        {"title": table.title, "columns": table.columns, "rows": table.rows}
                        for table in diagnosis.tables
                    ],
                }
                for section in self.sections
                for diagnosis in section.diagnoses
            ],
        }
