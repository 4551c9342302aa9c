"""The digest of a stage's own code, and the revision of all of it.

Editing `verify.py` must re-run verify and not the export before it, so every stage is keyed on
exactly the files that can change its result: its module and all it imports from this repository.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts import digests

ROOT = Path(__file__).resolve().parents[1]
# The sources of a build: the stages, and what is in the image.
FOLDERS = ("scripts", "toolchains", "docker")
_FILE_NAME = re.compile(r"[\w-][\w.-]*\.\w+")


@cache
def digest(module: str) -> str:
    """Return the SHA-256 of a module, e.g. `scripts.stages.export`, with its imports and data."""
    files = {file for path in closure(module) for file in _with_data(path)}
    return _listing(ROOT, files)


def revision(root: Path = ROOT) -> dict[str, str]:
    """Return the revision of a build's sources, as an in-toto digest set.

    That is the git commit where the files are as committed, else the SHA-256 of the files.
    """
    commit = _commit(root)
    if commit and _git(root, "status", "--porcelain", "--", *FOLDERS) == "":
        return {"gitCommit": commit}
    sources = (file for name in FOLDERS for file in digests.files_below(root / name))
    files = (file for file in sources if not _is_litter(file.relative_to(root)))
    return {"sha256": _listing(root, files)}


def closure(module: str) -> set[Path]:
    """Return the source files of a module and of everything it imports from this repository."""
    files: set[Path] = set()
    pending = [_path(module)]
    while pending:
        path = pending.pop()
        if path is None or path in files:
            continue
        files.add(path)
        pending += [_path(name) for name in _names(path.read_text()).modules]
    return files


def _commit(root: Path) -> str:
    """Return the commit checked out at `root`; nothing where `root` is not a repository's root."""
    prefix, _, commit = (_git(root, "rev-parse", "--show-prefix", "HEAD") or "").partition("\n")
    return "" if prefix else commit.strip()


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, None where it is missing or refuses."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout


def _is_litter(path: Path) -> bool:
    """Return whether a tool left a file behind: bytecode, a linter's cache."""
    return path.suffix == ".pyc" or any(part.startswith(".") for part in path.parts)


def _listing(root: Path, files: Iterable[Path]) -> str:
    return digests.of_listing((str(f.relative_to(root)), digests.of_file(f)) for f in files)


def _path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@dataclass(frozen=True)
class _Names:
    """The modules that a source file imports, and its texts that can be the name of a file."""

    modules: tuple[str, ...]
    files: frozenset[str]


@cache
def _names(text: str) -> _Names:
    nodes = list(ast.walk(ast.parse(text)))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    names = {name for name in texts if isinstance(name, str) and _FILE_NAME.fullmatch(name)}
    return _Names(tuple(_imports(nodes)), frozenset(names))


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _with_data(path: Path) -> Iterator[Path]:
    """Yield a source file and the data that it reads: what it names, what a package holds.

    A file of data counts where a text of the code is its name, and it is beside that code or in a
    toolchain's folder. openqnn is read out of the image, whose digest holds it.
    """
    yield path
    if path.name == "__init__.py":
        yield from sorted(path.parent.glob("*.toml"))
    files = _names(path.read_text()).files
    beside = (path.parent / name for name in files)
    yield from (file for file in beside if file.is_file())
    toolchains = ROOT / "toolchains"
    for file in [*toolchains.glob("*.*"), *toolchains.glob("*/*.*")]:
        if file.name in files and file.is_file() and file.parent.name != "openqnn":
            yield file
