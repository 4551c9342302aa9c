"""The digest of a stage's own code: its module and all it imports from this repository.

Editing `verify.py` must re-run verify and not the export before it, so every stage is keyed on
exactly the files that can change its result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scripts.pipeline import digests

ROOT = Path(__file__).resolve().parents[2]


@cache
def digest(module: str) -> str:
    """Return the SHA-256 of a module, e.g. `scripts.stages.export`, with its imports and data."""
    files = {file for path in closure(module) for file in _with_data(path)}
    return digests.of_listing((str(f.relative_to(ROOT)), digests.of_file(f)) for f in files)


def closure(module: str) -> set[Path]:
    """Return the source files of a module and of everything it imports from this repository."""
    found: set[Path] = set()
    pending = [_path(module)]
    while pending:
        path = pending.pop()
        if path is None or path in found:
            continue
        found.add(path)
        pending += [_path(name) for name in _imports(path)]
    return found


def _path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _with_data(path: Path) -> Iterator[Path]:
    yield path
    if path.name == "__init__.py":
        yield from sorted(path.parent.glob("*.toml"))
