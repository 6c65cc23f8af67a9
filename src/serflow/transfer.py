"""Downloads over HTTP that go on where they broke off."""

from pathlib import Path

_BLOCK = 1 << 16
_TIMEOUT_S = 60


def download(address: str, part: Path, title: str, size: int | None = None) -> None:
    """Download into a file; one that is there already is what came before, and is gone on with.

    A server that gives no parts of a file is asked for the whole. What came is the caller's to check.

    Parameters
    ----------
    address
        Of the file.
    part
        Where to put it.
    title
        What stands at the progress bar.
    size
        In bytes, where the server does not say it.

    Raises
    ------
    requests.RequestException
        If the server cannot be reached, has no such file, or goes away; what came until then stays in ``part``.
    """
    import requests
    from tqdm import tqdm

    there = came(part)
    # as it is: parts and sizes of what is compressed on the way are others
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with requests.get(address, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if there and answer.status_code == requests.codes.requested_range_not_satisfiable:
            # nothing is left to come
            return
        answer.raise_for_status()
        goes_on = answer.status_code == requests.codes.partial_content
        done = there if goes_on else 0
        total = done + int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else size
        bar = tqdm(desc=title, initial=done, total=total, unit="B", unit_scale=True, disable=None)
        with bar, open(part, "ab" if goes_on else "wb") as handle:
            for block in answer.iter_content(_BLOCK):
                handle.write(block)
                bar.update(len(block))


def came(part: Path) -> int:
    """Return how many bytes of a download are there."""
    return part.stat().st_size if part.is_file() else 0
