"""Fingerprints of the code behind a stage, so that a change of code makes exactly its outputs stale.

A fingerprint hashes the syntax trees of a module and of every module of the package that it imports,
directly or not, without comments, formatting or docstrings. Nothing is imported to compute it. A name that
is looked up at run time (a method, a feature, a corpus) is not seen: the rule names its module beside the
stage's.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@functools.cache
def _module_file(root: Path, module: str) -> Path | None:
    stem = root.joinpath(*module.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and all statements in it, those within others too; expressions hold none."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for block in _BLOCKS:
            # of a lambda or a condition the body is an expression
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                todo.extend(inner)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in _statements(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


@functools.cache
def _module(root: Path, module: str) -> tuple[str, frozenset[str]]:
    """Return the digest of one module and the modules of its own package that it imports."""
    path = _module_file(root, module)
    assert path is not None
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    top = module.partition(".")[0]
    wanted = {
        name
        for imported in _imported_names(tree, package)
        if imported.partition(".")[0] == top
        for name in _with_parents(imported)
        if _module_file(root, name) is not None
    }
    digest = hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest()
    return digest, frozenset(wanted)


def imported_modules(root: Path, *modules: str) -> list[str]:
    """Return ``modules``, their parent packages, and all modules they import, sorted by name."""
    seen: set[str] = set()
    todo = [name for module in modules for name in _with_parents(module)]
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo.extend(_module(root, module)[1])
    return sorted(seen)


def fingerprint(root: Path, *modules: str) -> str:
    """Return 16 hexadecimal digits that change when code behind ``modules`` changes.

    Parameters
    ----------
    root
        Folder that holds the top-level package (``src``).
    modules
        Dotted names, e.g. ``"serflow.features.extract", "serflow.features.mfb"``.

    Raises
    ------
    ValueError
        If a module does not exist under ``root``.
    """
    for module in modules:
        if _module_file(root, module) is None:
            raise ValueError(f"no module {module} under {root}")
    found = [(module, _module(root, module)[0]) for module in imported_modules(root, *modules)]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]
