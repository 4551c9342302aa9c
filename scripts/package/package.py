"""A package read back: every byte of it held against its own manifest."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts.errors import ArtefactError, DiskFullError
from scripts.package import archive, manifest, provenance
from scripts.package.item import Entry, Item
from scripts.package.manifest import MANIFEST, SUMS, Manifest

_DOCUMENTS = (MANIFEST, SUMS)
_PREFIX = "dinov3-package-"


@dataclass(frozen=True)
class Package:
    """A whole package; `digest` is the SHA-256 of `SHA256SUMS`, and so names all its contents."""

    manifest: Manifest
    sums: bytes
    entries: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """The name under which a board keeps it."""
        return hashlib.sha256(self.sums).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries)


@dataclass(frozen=True)
class Unpacked:
    """A package and the folder in which its files are for now."""

    package: Package
    folder: Path


def from_documents(document: bytes, sums: bytes) -> Package:
    """Return the package that a manifest and a `SHA256SUMS` describe.

    Raises:
        ArtefactError: one of them is not ours, or they contradict each other.
    """
    known = manifest.load(document)
    if manifest.sums(known.entries, document) != sums:
        raise ArtefactError(
            f"{SUMS} is not as the manifest says.",
            cause="the package was changed by hand",
            remedy="make it again with `invoke package`",
        )
    own = (Item(MANIFEST, document, "manifest"), Item(SUMS, sums, "sums"))
    return Package(known, sums, (*known.entries, *(item.entry() for item in own)))


def check(path: Path, folder: Path | None = None) -> Package:
    """Read an archive through, and write its files below `folder` where one is given.

    Raises:
        ArtefactError: it is missing, cut short, or any file is not what the manifest says.
    """
    return read(path, folder)[0]


def read(path: Path, folder: Path | None = None) -> tuple[Package, Mapping[str, bytes]]:
    """Return an archive's package, as `check` does, and its documents by name.

    Raises:
        ArtefactError: as `check`.
    """
    found: dict[str, Entry] = {}
    documents: dict[str, bytes] = {}
    with archive.opened(path) as tar:
        for name, header, stream in archive.members(tar):
            if name in (*_DOCUMENTS, provenance.FILE):
                documents[name] = stream.read()
                stream = io.BytesIO(documents[name])
            with _sink(folder and folder / name, header.mode) as sink:
                digest = archive.copy(stream, sink.write)
            found[name] = Entry(name, header.size, f"{header.mode:04o}", digest, "")
    return _compared(path, found, documents), documents


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """Check an archive and keep its files in a temporary folder for the time of the block.

    Folders of processes that were killed are removed first: they may hold gigabytes.

    Raises:
        ArtefactError: as `check`.
        DiskFullError: there is no room for the files.
    """
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        yield Unpacked(_into(Path(folder), path), Path(folder))


def _into(folder: Path, path: Path) -> Package:
    try:
        return check(path, folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFullError(
            f"There is no room for the files of {path.name} in {tempfile.gettempdir()}.",
            remedy="free space there, or name another folder in TMPDIR",
        ) from error


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path(f"/proc/{process}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _compared(path: Path, found: dict[str, Entry], documents: dict[str, bytes]) -> Package:
    if missing := [name for name in _DOCUMENTS if name not in documents]:
        raise ArtefactError(f"{path} holds no {missing[0]}: it is not a package of ours.")
    made = from_documents(documents[MANIFEST], documents[SUMS])
    expected = {entry.path: (entry.size, entry.mode, entry.sha256) for entry in made.entries}
    actual = {name: (one.size, one.mode, one.sha256) for name, one in found.items()}
    wrong = [name for name in expected | actual if expected.get(name) != actual.get(name)]
    if wrong:
        raise ArtefactError(
            f"{path} is damaged: {', '.join(sorted(wrong))} not as the manifest says.",
            cause="a copy was cut short, or the archive was changed by hand",
            remedy="copy it again, or make it again with `invoke package`",
        )
    return made


@contextmanager
def _sink(path: Path | None, mode: int) -> Iterator[IO[bytes]]:
    if path is None:
        with Path(os.devnull).open("wb") as nothing:
            yield nothing
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield file
    path.chmod(mode)
