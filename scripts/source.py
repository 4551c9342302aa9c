"""The digest of a stage's own code, and the revision of all of it.

Editing `verify.py` must re-run verify and not the export before it, so every stage is keyed on
exactly the files that can change its result: its module and all it imports from this repository.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts import digests, imports
from scripts.errors import ArtefactError

ROOT = Path(__file__).resolve().parents[1]
# The sources of a build: the stages, and what is in the image.
FOLDERS = ("scripts", "toolchains", "docker")
# What says who may do what with them; a copy goes with what is passed on.
NOTICES = ("LICENSE", "NOTICE")


@cache
def digest(module: str) -> str:
    """Return the SHA-256 of a module, e.g. `scripts.stages.export`, with its imports and data.

    Sources are read once: `forget` makes that of edited ones another.
    """
    sources = {path: _source(path) for path in closure(module)}
    _memory().save()
    known = {path: source.sha256 for path, source in sources.items()}
    data = {file for source in sources.values() for file in source.data} - known.keys()
    known |= {file: digests.of_file(file) for file in data}
    return digests.of_listing((str(file.relative_to(ROOT)), known[file]) for file in known)


def forget() -> None:
    """Read the sources again when they are asked for next."""
    for cached in (digest, _source, _of_toolchains):
        cached.cache_clear()


def revision(root: Path = ROOT) -> dict[str, str]:
    """Return the revision of a build's sources, as an in-toto digest set.

    That is the git commit where the files are as committed, else the SHA-256 of the files.
    """
    sources = (file for name in (*FOLDERS, *NOTICES) for file in digests.files_below(root / name))
    files = [file for file in sources if not _is_litter(file.relative_to(root))]
    commit = _commit(root)
    if commit and _committed(root, commit) == {str(f.relative_to(root)): _as_git(f) for f in files}:
        return {"gitCommit": commit}
    return {"sha256": _listing(root, files)}


def holds(commit: str, root: Path = ROOT) -> bool:
    """Tell whether a commit is in this repository."""
    return _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def check_out(commit: str, folder: Path, root: Path = ROOT) -> None:
    """Check a commit out in a new folder, its bytes as committed, without changing this checkout.

    Raises:
        ArtefactError: git refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clone = ["git", "clone", "--quiet", "--shared", "--no-checkout", "--template="]
    clone += ["--config", "core.autocrlf=false"]
    checkout = ["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit]
    for command in ([*clone, str(root), str(folder)], checkout):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArtefactError(
                f"{commit} cannot be checked out: {done.stderr.strip()}",
                cause="no room, or this repository is damaged or shallow",
                remedy="`git fsck`, or run this in a full clone",
            )


def closure(module: str) -> set[Path]:
    """Return the source files of a module and of everything it imports from this repository."""
    files: set[Path] = set()
    start = _path(module)
    pending = {start} if start else set()
    while pending:
        path = pending.pop()
        files.add(path)
        pending |= _source(path).imports - files
    return files


def _commit(root: Path) -> str:
    """Return the commit checked out at `root`; nothing where `root` is not a repository's root."""
    prefix, _, commit = (_git(root, "rev-parse", "--show-prefix", "HEAD") or "").partition("\n")
    return "" if prefix else commit.strip()


def _committed(root: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Return mode and blob id of every file of a commit that a build is made by, by path.

    `git status` believes its index and its settings: of files to assume unchanged, not to look
    for, or to look at through filters.
    """
    listing = (
        _git(root, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *FOLDERS, *NOTICES) or ""
    )
    lines = (line.partition("\t") for line in listing.split("\0") if line)
    return {
        path: (head.split()[0], head.split()[2])
        for head, _, path in lines
        if not _is_litter(Path(path))
    }


def _as_git(path: Path) -> tuple[str, str]:
    """Return the mode and the blob id that git gives a file: SHA-1 of a header and the bytes."""
    if path.is_symlink():
        mode, data = "120000", os.fsencode(path.readlink())
    else:
        mode, data = "100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes()
    return mode, hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, None where it is missing or refuses."""
    command = ["git", "--no-optional-locks", "--no-replace-objects", "-C", str(root), *arguments]
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


@dataclass(frozen=True)
class _Source:
    """A source file: what it imports from this repository, and the data that it reads."""

    sha256: str
    imports: frozenset[Path]
    data: frozenset[Path]


@cache
def _source(path: Path) -> _Source:
    text = path.read_bytes()
    sha256 = digests.of_bytes(text)
    names = _memory().names(text, sha256)
    paths = (_path(name) for name in names.modules)
    return _Source(
        sha256,
        frozenset(file for file in paths if file),
        frozenset(_data(path, names.files)),
    )


@cache
def _memory() -> imports.Memory:
    return imports.Memory(Path(__file__).resolve().parents[1] / ".cache" / "imports.json")


def _path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _data(path: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield the data that a source file reads: what it names, what a package holds.

    A file of data counts where a text of the code is its name, and it is beside that code or in a
    toolchain's folder. openqnn is read out of the image, whose digest holds it.
    """
    if path.name == "__init__.py":
        yield from path.parent.glob("*.toml")
    for name in names:
        places = (path.parent / name, *_of_toolchains().get(name, ()))
        yield from (file for file in places if file.is_file())


@cache
def _of_toolchains() -> dict[str, list[Path]]:
    """Return the files of data of the toolchains by name."""
    toolchains, files = ROOT / "toolchains", defaultdict(list)
    for file in (*toolchains.glob("*.*"), *toolchains.glob("*/*.*")):
        if file.parent.name != "openqnn":
            files[file.name].append(file)
    return files
