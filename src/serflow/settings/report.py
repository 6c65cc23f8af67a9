"""What the pages of results show."""

from typing import Annotated

from pydantic import Field

from serflow.settings.base import Distinct, Name, Positive, Section


class Report(Section):
    """Which studies the overview shows, and what pages show: of leaks, and of single utterances."""

    studies: Annotated[list[Name], Field(min_length=1), Distinct] | None = None
    premiums: bool = False
    audio: bool = True
    transcripts: bool = True
    listed: Positive = 12
    heard: Positive = 2
