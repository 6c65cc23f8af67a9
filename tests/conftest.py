"""Fixtures shared by all tests."""

from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy and torch start

# isort: split
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real audio that may lie beside the repository; it is never part of it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip("no real audio: ../shared/data is not there")
    return folder


@pytest.fixture(scope="session")
def bfloat16() -> None:
    """For tests of bf16: skip them where this machine is refused it."""
    import torch

    from serflow.devices import require_precision
    from serflow.errors import ConfigError

    try:
        require_precision(torch.device("cpu"), "bf16", "precision")
    except ConfigError as error:
        pytest.skip(str(error))
