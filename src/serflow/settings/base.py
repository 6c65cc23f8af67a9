"""What a section of the configuration is, and what is said where one is wrong.

Trainings import this module, and no other of the package: their options are sections.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from serflow.errors import ConfigError

SYNTHETIC = "synthetic"
STAND_IN = "stand-in"
DOWNLOAD = "download"
CLEAN = "clean"

KeyPath = Sequence[str | int]


class Section(BaseModel):
    """Keys that belong together: unknown ones are refused, and none changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes `true` for 1
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"{str(value).lower()} is not what it takes")
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
    """A value that fits its own key and not the others, raised while a section is read; names the key."""

    def __init__(self, key: str, said: str) -> None:
        super().__init__(f"{key}: {said}")
        self.path = key.split(".")


def unknown(message: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the message with the known name that is nearest to ``name``, or with all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"{message} (did you mean {near[0]!r}?)" if near else f"{message} (known: {', '.join(sorted(known))})"


def _known_keys(section: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys of the section at ``path`` below another."""
    model: Any = section
    for part in path:
        fields = getattr(model, "model_fields", None)
        if fields is None or part not in fields:
            # a free-form mapping: its values decide
            continue
        annotation = fields[part].annotation
        arguments = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
        model = arguments[-1] if arguments else annotation
    return list(getattr(model, "model_fields", {}))


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
        key = ".".join(str(part) for part in path)
        if problem["type"] == "extra_forbidden":
            said = unknown(f"unknown key {key}", str(path[-1]), _known_keys(section, problem["loc"][:-1]))
        elif problem["type"] == "value_error":
            cause = problem["ctx"]["error"]
            path = cause.path if isinstance(cause, SettingError) else path
            said = f"{key}: {cause}" if key else str(cause)
        else:
            said = f"{key}: {problem['msg']} (it is {problem['input']!r})"
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
