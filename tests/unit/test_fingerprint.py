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


def forget() -> None:
    """Look at files again, which do not change while a process asks for fingerprints."""
    module._module.cache_clear()
    module._module_file.cache_clear()


def digest(root: Path) -> str:
    forget()
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


@pytest.mark.parametrize(
    "place",
    [
        "if X:\n    {0}\nelse:\n    pass\n",
        "if X:\n    pass\nelif Y:\n    pass\nelse:\n    {0}\n",
        "for x in X:\n    pass\nelse:\n    {0}\n",
        "while X:\n    {0}\n",
        "with X:\n    {0}\n",
        "try:\n    {0}\nfinally:\n    pass\n",
        "try:\n    pass\nexcept X:\n    {0}\n",
        "try:\n    pass\nexcept X:\n    pass\nelse:\n    {0}\n",
        "try:\n    pass\nfinally:\n    {0}\n",
        "try:\n    pass\nexcept* X:\n    {0}\n",
        "match X:\n    case 1:\n        pass\n    case _:\n        {0}\n",
        "class C:\n    async def g(self):\n        {0}\n",
        "f = lambda: (X if Y else Z)\n{0}\n",
    ],
)
def test_imports_are_followed_and_docstrings_left_out_wherever_they_stand(package: Path, place: str) -> None:
    stage = package / "pkg/stage.py"
    stage.write_text(place.format("import pkg.other"))
    forget()
    assert imported_modules(package, "pkg.stage") == ["pkg", "pkg.other", "pkg.stage"]
    digests = set()
    for said in ("One.", "Another."):
        stage.write_text(place.format(f"def h(): '{said}'"))
        digests.add(digest(package))
    assert len(digests) == 1


def test_an_unknown_module_is_an_error(package: Path) -> None:
    with pytest.raises(ValueError, match=r"no module pkg\.nothing"):
        fingerprint(package, "pkg.nothing")
