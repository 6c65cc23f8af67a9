"""What a section of the configuration is, and what is said where one is wrong.

Trainings import this module, and no other of the package: their options are sections.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from serflow.errors import ConfigError

SYNTHETIC = "synthetic"
STAND_IN = "stand-in"
DOWNLOAD = "download"
CLEAN = "clean"

KeyPath = Sequence[str | int]

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# what no line of a log, a command or a table can hold
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _language(code: str) -> str:
    if re.fullmatch("[a-z]{2,3}", code) is None:
        raise ValueError(f"{code!r} is no language; write its code of ISO 639, two or three small letters such as en")
    return code


def _distinct(values: Sequence[Any]) -> Sequence[Any]:
    names = [f"{value:g}" if isinstance(value, float) else value for value in values]
    for position, name in enumerate(names):
        if name in names[:position]:
            said = "" if values[position] in values[:position] else f" as {name}, which is all that names show of it"
            raise SettingError(str(position), f"{values[position]!r} stands there twice{said}")
    return values


class Word(str):
    """A word without quotes: a text, unless the type of its key makes a number, a truth or nothing of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the word as it is written."""
        return str(self)


def _plain(value: Any) -> Any:
    """Read words by YAML 1.2: ``1e-6`` is a number, ``010`` is 10, ``no`` a text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if not isinstance(value, Word):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _NUMBER.fullmatch(value) else str(value)


def _takes_text(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, str | BaseModel):
        return True
    return isinstance(annotation, str) or any(_takes_text(part) for part in get_args(annotation))


Plain = Annotated[Any, BeforeValidator(_plain)]
"""A value whose key has no type of its own."""

Name = Annotated[str, Field(pattern=NAME)]
"""A name that stands in paths, in commands and in wildcards of rules."""

Language = Annotated[str, AfterValidator(_language)]
"""A code of ISO 639."""

Distinct = AfterValidator(_distinct)
"""Of a list: no entry stands there twice. Numbers that are written alike in names of cells are one."""

Positive = Annotated[int, Field(ge=1)]
Run = Annotated[int, Field(ge=0)]
"""The number of a run, which names of splits and cells hold."""


class Section(BaseModel):
    """Keys that belong together: unknown ones are refused, and none changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, Word | list) and not _takes_text(annotation):
            plain = _plain(value)
            value = value if isinstance(plain, str) else plain
        # pydantic takes `true` for 1
        if isinstance(value, bool) and annotation is not bool:
            raise ValueError(f"{str(value).lower()} is not what it takes")
        if isinstance(value, str) and (found := _CONTROL.search(value)):
            raise ValueError(f"the character {found[0]!r} stands in it; take it out")
        return value

    def as_json(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return plain values: all, or those of ``names``, a key (``model.maps``) or a group (``model``)."""
        whole = self.model_dump(mode="json")
        if names is None:
            return whole
        picked: dict[str, Any] = {}
        for name in names:
            *groups, key = name.split(".")
            source, target = whole, picked
            for group in groups:
                source, target = source[group], target.setdefault(group, {})
            target[key] = source[key]
        return picked


SectionT = TypeVar("SectionT", bound=Section)


class SettingError(ValueError):
    """A value that fits its own key and not the others, raised while a section is read.

    ``key`` is that of the value below what is read (``training.device``; ``2`` is the third entry of a list).
    """

    def __init__(self, key: str, said: str) -> None:
        super().__init__(said)
        self.path = key.split(".")


def unknown(message: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the message with the known name that is nearest to ``name``, or with all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"{message} (did you mean {near[0]!r}?)" if near else f"{message} (known: {', '.join(sorted(known))})"


def path_below(root: str, given: str) -> Path:
    """Return the path that is meant: a relative one below ``root``; ``~`` is the home folder in both."""
    return _at_home(root) / _at_home(given)


def _at_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # nobody of that name: a folder may be called so
        return Path(path)


def _known_keys(section: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys of the section at ``path`` below another."""
    model: Any = section
    for part in path:
        fields = getattr(model, "model_fields", None)
        if fields is None or part not in fields:
            # a free-form mapping: its values decide
            continue
        annotation = fields[part].annotation
        sections = list(_sections(annotation))
        model = sections[-1] if sections else annotation
    return list(getattr(model, "model_fields", {}))


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a type names, such as that of ``dict[str, Section | None]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


# what pydantic calls the key of a free-form mapping, and a value that is no section, mapping or list
_KEY = "[key]"
_GROUPS = ("model_type", "model_attributes_type", "dict_type", "list_type")


def _shown(value: Any) -> str:
    """Return a value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)


def explain(
    error: ValidationError,
    section: type[BaseModel],
    *,
    within: KeyPath = (),
    place: Callable[[KeyPath], str] = lambda path: "",
) -> Iterator[str]:
    """Say, a line each, what is wrong with a section.

    Parameters
    ----------
    error
        What reading it raised.
    section
        Its type.
    within
        The keys that it stands below.
    place
        From a key to the words in front of it: file and line.
    """
    for problem in error.errors(include_url=False):
        path: KeyPath = [*within, *problem["loc"]]
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, SettingError):
            path = [*path, *cause.path]
        is_name = path[-1:] == [_KEY]
        key = ".".join(str(part) for part in (path[:-2] if is_name else path))
        if problem["type"] == "extra_forbidden":
            said = unknown(f"unknown key {key}", str(path[-1]), _known_keys(section, problem["loc"][:-1]))
        elif problem["type"] == "value_error":
            said = f"{key}: {cause}" if key else str(cause)
        elif problem["type"] == "string_pattern_mismatch" and is_name:
            said = (
                f"{key}: {path[-2]!r} cannot be a name, for names stand in paths and commands; write letters, digits "
                "and _ (features: small letters first)"
            )
        elif problem["input"] is None and problem["type"].endswith(_GROUPS):
            said = f"{key}: nothing stands below it; write its keys below it, or take the line out"
        else:
            said = f"{key}: {problem['msg']} (it is {_shown(problem['input'])})"
        yield place(path) + said


def checked(section: type[SectionT], content: Any, name: str) -> SectionT:
    """Return ``content`` as a section; what is left out takes its default.

    Raises
    ------
    ConfigError
        If a key is unknown or its value cannot be used; names it as ``name.key``, with what it may be.
    """
    try:
        return section.model_validate(content)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error, section, within=[name]))) from error
