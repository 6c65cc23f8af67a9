"""Fixtures of the tests of ``serflow doctor``."""

from pathlib import Path

import pytest

from doctor_place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)
