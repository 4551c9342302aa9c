"""A package read back: every byte of it held against its own manifest."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts import writing
from scripts.errors import ArtefactError
from scripts.package import agreement, archive, manifest, rule, scratch
from scripts.package.item import Entry, Item
from scripts.package.manifest import MANIFEST, SUMS, Manifest

_DOCUMENTS = (MANIFEST, SUMS)


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
            cause="the package was changed by hand, or another program made it",
            remedy="copy it again, or make it again with `invoke package`",
        )
    own = (Item(MANIFEST, document, "manifest"), Item(SUMS, sums, "sums"))
    return Package(known, sums, (*known.entries, *(item.entry() for item in own)))


def check(path: Path, folder: Path | None = None) -> Package:
    """Read an archive through, and write its files below `folder` where one is given.

    Raises:
        ArtefactError: it is missing, cut short, or any file is not what the manifest says.
    """
    return read(path, folder)[0]


def read(
    path: Path, folder: Path | None = None, *, also: Mapping[str, int] | None = None
) -> tuple[Package, Mapping[str, bytes]]:
    """Return an archive's package, as `check` does, and its documents by name.

    `also` names other files to return like documents, each with the bytes it may have at most.

    Raises:
        ArtefactError: as `check`.
    """
    bounds = agreement.Bounds(also or {})
    files: dict[str, Entry] = {}
    documents: dict[str, bytes] = {}
    with archive.opened(path) as members:
        for member in members:
            document = io.BytesIO() if bounds.admit(member.path, member.size) else None
            digest = _written(member, folder, document)
            files[member.path] = Entry(
                member.path, member.size, f"{member.mode:04o}", digest, role=""
            )
            if document is not None:
                documents[member.path] = document.getvalue()
    return _compared(path, files, documents), documents


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """Check an archive and keep its files in a private folder for the time of the block.

    Raises:
        ArtefactError: as `check`.
        DiskFullError: there is no room for the files.
    """
    with scratch.folder() as folder:
        yield Unpacked(check(path, folder), folder)


def _written(member: archive.Member, folder: Path | None, document: io.BytesIO | None) -> str:
    """Write a member into a folder, a document, both or neither; return its SHA-256."""
    with ExitStack() as stack:
        sinks: list[IO[bytes]] = [document] if document is not None else []
        if folder is not None:
            file = stack.enter_context(writing.create(folder / member.path))
            os.fchmod(file.fileno(), member.mode)
            sinks.append(file)
        return archive.copy(member.stream, lambda piece: [sink.write(piece) for sink in sinks])


def _compared(path: Path, files: dict[str, Entry], documents: dict[str, bytes]) -> Package:
    if missing := [name for name in _DOCUMENTS if name not in documents]:
        raise rule.refusal(f"{path} holds no {missing[0]}: it is not a package of ours.")
    package = from_documents(documents[MANIFEST], documents[SUMS])
    expected = {entry.path: (entry.size, entry.mode, entry.sha256) for entry in package.entries}
    actual = {name: (file.size, file.mode, file.sha256) for name, file in files.items()}
    wrong = [name for name in expected | actual if expected.get(name) != actual.get(name)]
    if wrong:
        raise rule.refusal(f"{path} is damaged: {_listed(wrong)} not as the manifest says.")
    agreement.check(package.manifest, documents)
    return package


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(sorted(names)[:3])}{more} {'are' if len(names) > 1 else 'is'}"
