"""What a job does, read off its command: the stage, and the options that it is given."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORD = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_MODULE = "serflow.stages."


@dataclass(frozen=True)
class Command:
    """A stage with its options: the words that follow ``--name``, or the value of ``--name=value``."""

    stage: str
    options: Mapping[str, Sequence[str]]

    def word(self, name: str) -> str | None:
        """Return the one word of an option, None where it is not given or has another number of words."""
        words = self.options.get(name, ())
        return words[0] if len(words) == 1 else None

    def json(self, name: str) -> Any:
        """Return an option's value, None where it is not given."""
        word = self.word(name)
        return None if word is None else json.loads(word)

    def named(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the names and values of an option with words ``name=value``."""
        for word in self.options.get(name, ()):
            key, equals, value = word.partition("=")
            if equals:
                yield key, value

    def cells(self) -> list[dict[str, str]]:
        """Return the cells that a training is of, by their fields."""
        several = self.json("cells")
        if several is not None:
            return [dict(word.split("=", 1) for word in cell) for cell in several]
        cell = dict(self.named("cell"))
        return [cell] if cell else []

    def splits(self) -> Iterator[tuple[str, str, int]]:
        """Yield corpus, protocol and number of runs of each split that a training reads."""
        several = self.options.get("inputs", ())
        if self.options.get("cells"):
            several = [word for cell in self.json("inputs") or () for word in cell]
        for word in several:
            name, _, path = word.partition("=")
            if name in ("split", "splits"):
                *_, corpus, file = path.split("/")
                # `split` is the one of all runs, `splits` has one for each
                yield corpus, file.removesuffix(".parquet"), len(self.options.get("runs", ())) if name == "split" else 1

    def placed(self) -> list[str]:
        """Return the parts of the log's path: the rule, then what tells the job from others of it."""
        log = self.word("log")
        return [] if log is None else list(Path(log).with_suffix("").parts[2:])


def read_command(text: str) -> Command | None:
    """Read a command as rules write them; None where it calls no stage.

    Words are quoted as `shlex.quote` does, which reads thousands of long ones too slowly to ask it back.
    """
    words = [_QUOTED.sub(lambda found: found[1] or found[2] or "", word) for word in _WORD.findall(text)]
    module = next((word for word in words if word.startswith(_MODULE)), None)
    if module is None:
        return None
    options: dict[str, list[str]] = {}
    given: list[str] = []
    for word in words[words.index(module) + 1 :]:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            given = options.setdefault(name, [])
            if equals:
                given.append(value)
                given = []
        else:
            given.append(word)
    return Command(module.removeprefix(_MODULE), options)
