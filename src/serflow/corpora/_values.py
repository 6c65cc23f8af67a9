"""What people write into the cells of a label table: numbers, times, words."""

import functools
import math
import re
import unicodedata

from serflow.printable import shown

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LARGEST = 1e9

# `0 days 00:00:01.5` and `P0DT0H0M1.5S` are what pandas writes, `00:00:01.5` and `0:01.5` what spreadsheets do
_DAYS = re.compile(r"(?:(?P<days>\d+) days?)?(?:^| ?)(?P<clock>\+?[\d:.]+)?", re.ASCII)
_CLOCK = re.compile(r"\+?(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d*)?)", re.ASCII)
_ISO = re.compile(
    r"P(?:(?P<days>\d+)D)?T?(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d*)?)S)?", re.ASCII
)
_UNITS = re.compile(r"(?P<number>[\d.]+) ?(?P<unit>ms|s|sec|seconds?|milliseconds?)", re.ASCII)
_IN_S = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}

NOTHING = frozenset({"", "na", "n/a", "nan", "<na>", "nat", "null", "none", "#n/a", "-", "--", "?"})


class UnusableError(Exception):
    """A row that cannot be used; the message is the reason."""


class AbsentError(UnusableError):
    """A row whose audio is not there."""


@functools.lru_cache(maxsize=4096)
def key(word: str) -> str:
    """Return a word as it is compared: whatever its letter case, Unicode form and blanks."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def number(text: str, decimal_comma: bool = False) -> float:
    """Return a number of plain digits.

    Parameters
    ----------
    text
        The cell.
    decimal_comma
        Whether ``3,5`` is 3.5, as spreadsheets of many languages write it.

    Raises
    ------
    ValueError
        If it is none, or beyond 1e9.
    """
    plain = text.strip().replace("\u2212", "-")
    if decimal_comma and plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    if not abs(value) <= _LARGEST:
        raise ValueError(f"{shown(text)}, not a number")
    return value


def whole_number(text: str) -> int:
    """Return a whole number; ``3.0`` is one.

    Raises
    ------
    ValueError
        If it is none, or beyond 1e9.
    """
    value = number(text)
    if not value.is_integer():
        raise ValueError(f"{shown(text)}, not a whole number")
    return int(value)


def _parts_in_s(match: re.Match[str]) -> float:
    return sum(_IN_S[unit] * number(amount) for unit, amount in match.groupdict().items() if amount)


def seconds(text: str, decimal_comma: bool = False) -> float:
    """Return a time in s: a number of seconds, or as pandas, audformat and spreadsheets write times.

    Raises
    ------
    ValueError
        If it is none.
    """
    plain = text.strip()
    try:
        return number(plain, decimal_comma)
    except ValueError:
        plain = plain.replace(",", ".")
    if match := _UNITS.fullmatch(plain):
        return number(match["number"]) * (1e-3 if match["unit"].startswith("m") else 1)
    if (match := _ISO.fullmatch(plain)) and any(match.groupdict().values()):
        return _parts_in_s(match)
    match = _DAYS.fullmatch(plain)
    if match and (match["days"] or match["clock"]):
        days = 86_400 * number(match["days"] or "0")
        if not match["clock"]:
            return days
        if clock := _CLOCK.fullmatch(match["clock"]):
            return days + _parts_in_s(clock)
    raise ValueError(f"{shown(text)}, not a time; write seconds, or hours:minutes:seconds")
