"""Reading the options of stand-ins as they stand in the configuration."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from serflow.errors import ConfigError

Options = TypeVar("Options")


def read_options(kind: type[Options], values: Any, what: str, positive: tuple[str, ...]) -> Options:
    """Check ``values`` against the fields of the dataclass ``kind`` and return it filled.

    Numbers must not be negative, those named by ``positive`` not zero either, and fields whose default is an
    integer must be whole.

    Raises
    ------
    ConfigError
        If a key is unknown or a value cannot be used.
    """
    defaults: dict[str, int | float] = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise ConfigError(f"options of {what}: {values!r} is not a mapping of {', '.join(defaults)}")
    for key, value in values.items():
        if key not in defaults:
            raise ConfigError(f"{what} has no option {key!r}; known: {', '.join(defaults)}")
        allowed = (int,) if isinstance(defaults[key], int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ConfigError(f"option {key} of {what}: {value!r} is not a {'whole ' * (len(allowed) == 1)}number")
        if not 0 <= value < float("inf") or (key in positive and value == 0):
            raise ConfigError(f"option {key} of {what}: {value!r} is out of range")
    return kind(**values)
