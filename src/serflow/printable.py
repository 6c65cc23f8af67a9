"""Text that messages, CSV files and logs can hold, whatever it was made of."""

import re

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 1000
_SHOWN = 60


def is_printable(text: str) -> bool:
    """Say whether a text is Unicode without control characters, line ends and tabs among them."""
    return _UNPRINTABLE.search(text) is None


def is_text(text: str) -> bool:
    """Say whether a text is Unicode with no control characters but line ends, page ends and tabs."""
    return is_printable(re.sub(r"[\t-\r\x85]", " ", text))


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return a text with what is no UTF-8 and control characters escaped, and cut where it is too long."""
    if not is_printable(text):
        text = text.encode("utf-8", "backslashreplace").decode()
        text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", text)
    return text if len(text) <= longest else f"{text[:longest]}..."


def shown(text: str) -> str:
    """Return a value as messages quote it: in quotation marks, no longer than a line."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
