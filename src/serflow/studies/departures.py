"""Where the options of a study are not its paper's: for the notes beside its numbers."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Stated(NamedTuple):
    """What an option is called in a note, and the value that the paper gives."""

    words: str
    value: Any


class Open(NamedTuple):
    """What an option is called in a note, and our default: the paper gives no value."""

    words: str
    default: Any


Paper = Mapping[str, Stated | Open | None]
"""What a paper says of each option, in its order; None where an option is no setting of what is measured."""


def flat(options: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``model.maps`` and its value for ``{"model": {"maps": 128}}``."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{group}{name}.")
        else:
            yield group + name, value


def _said(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(_said, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def departures(options: Mapping[str, Any], paper: Paper) -> list[str]:
    """Return ``kernel 8, the paper's 16`` for every option that is not as in the paper, in the paper's order.

    Where the paper leaves an option open, it is held against our default: ``dropout 0.2, by default 0 (the paper does
    not say)``.

    Parameters
    ----------
    options
        All options of a cell as plain values, groups within groups.
    paper
        What it says of each.

    Raises
    ------
    ValueError
        If an option is not among what the paper says and leaves open.
    """
    here = dict(flat(options))
    untold = sorted(set(here) - set(paper))
    if untold:
        raise ValueError(f"{untold[0]}: put down what the paper says of it, or that it leaves it open")
    found = []
    for key, told in paper.items():
        if told is None or key not in here or here[key] == told[1]:
            continue
        against = (
            f"the paper's {_said(told.value)}"
            if isinstance(told, Stated)
            else f"by default {_said(told.default)} (the paper does not say)"
        )
        found.append(f"{told.words} {_said(here[key])}, {against}")
    return found
