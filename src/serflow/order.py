"""The order of names as people see it: numbers in them count as such."""

import re


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that puts s2 before s10; names that read the same (s2, s02) are in the order of their letters."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)], name
