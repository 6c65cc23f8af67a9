from pathlib import Path

import pytest

from serflow import fingerprint as module
from serflow.fingerprint import fingerprint, imported_modules


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    (root / "pkg" / "sub").mkdir(parents=True)
    (root / "pkg" / "__init__.py").write_text("")
    (root / "pkg" / "sub" / "__init__.py").write_text("")
    (root / "pkg" / "stage.py").write_text('"""Doc."""\nfrom pkg.sub import maths\nfrom . import helper\n')
    (root / "pkg" / "helper.py").write_text("def f():\n    '''Doc.'''\n    return 1\n")
    (root / "pkg" / "sub" / "maths.py").write_text("import os\nX = 2\n")
    (root / "pkg" / "other.py").write_text("Y = 3\n")
    return root


def digest(root: Path) -> str:
    module._module.cache_clear()
    return fingerprint(root, "pkg.stage")


def test_imports_are_followed_and_nothing_else(package: Path) -> None:
    assert imported_modules(package, "pkg.stage") == ["pkg", "pkg.helper", "pkg.stage", "pkg.sub", "pkg.sub.maths"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("helper.py", "def f():\n    return 2\n"),
        ("sub/maths.py", "import os\nX = 4\n"),
        ("__init__.py", "Z = 1\n"),
    ],
)
def test_changed_code_of_an_imported_module_changes_the_fingerprint(package: Path, file: str, text: str) -> None:
    before = digest(package)
    (package / "pkg" / file).write_text(text)
    assert digest(package) != before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("helper.py", "# comment\ndef f():\n    '''Another doc.'''\n\n    return 1  # one\n"),
        ("helper.py", "def f():\n    return 1\n"),
        ("stage.py", '"""Other."""\nfrom pkg.sub import maths\nfrom . import helper\n'),
        ("other.py", "Y = 5\n"),
    ],
)
def test_comments_docstrings_and_modules_not_imported_do_not(package: Path, file: str, text: str) -> None:
    before = digest(package)
    (package / "pkg" / file).write_text(text)
    assert digest(package) == before


def test_an_unknown_module_is_an_error(package: Path) -> None:
    with pytest.raises(ValueError, match=r"no module pkg\.nothing"):
        fingerprint(package, "pkg.nothing")
