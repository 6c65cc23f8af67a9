"""Checking the options of stand-ins as they stand in the configuration."""

from collections.abc import Collection, Mapping
from typing import Any

from serflow.errors import ConfigError


def check_options(
    defaults: Mapping[str, int | float], values: Any, what: str, positive: Collection[str]
) -> dict[str, Any]:
    """Return ``values`` if all are known, numbers, and in range.

    Numbers must not be negative, those named by ``positive`` not zero either, and those whose default is an
    integer must be whole.

    Raises
    ------
    ConfigError
        If a key is unknown or a value cannot be used.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"options of {what}: {values!r} is not a mapping of {', '.join(defaults)}")
    for key, value in values.items():
        if key not in defaults:
            raise ConfigError(f"{what} has no option {key!r}; known: {', '.join(defaults)}")
        whole = isinstance(defaults[key], int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise ConfigError(f"option {key} of {what}: {value!r} is not a {'whole number' if whole else 'number'}")
        if not 0 <= value < float("inf") or (key in positive and value == 0):
            raise ConfigError(f"option {key} of {what}: {value!r} is out of range")
    return dict(values)
