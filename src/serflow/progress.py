"""Progress for people: a bar with ETA on a terminal, one line now and then in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)
Item = TypeVar("Item")
_LOG_EVERY_S = 30.0


def progress(items: Iterable[Item], total: int | None, what: str, unit: str = "utt") -> Iterator[Item]:
    """Pass ``items`` through, showing how far along they are.

    On a terminal this is a bar with ETA, shown only for work of over 3 s. Elsewhere it is a line in the
    log every 30 s.
    """
    terminal = sys.stderr.isatty()
    bar = tqdm(items, total=total, desc=what, unit=unit, delay=3, disable=not terminal, leave=False)
    start = said = time.monotonic()
    for done, item in enumerate(bar):
        now = time.monotonic()
        if not terminal and now - said > _LOG_EVERY_S:
            said = now
            rate = done / (now - start)
            left = f", {(total - done) / rate:.0f} s left" if total and rate > 0 else ""
            log.info("%s: %d of %s %s%s", what, done, total if total is not None else "?", unit, left)
        yield item
