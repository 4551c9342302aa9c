"""SHA-256 of files and folders, cached, so that an unchanged 3 GB file is not read again.

A cached digest is valid while size, times and inode stay the same: the rule of git's index.
No user program can set a file's ctime, so any write after the digest was taken is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 22
# Linux stamps files with the last timer tick. A file younger than this could change once more
# without its ctime moving, so reading it waits until it is older.
_TICK_SECONDS = 0.02


def of_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Read a file and return its SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return of_stream(file)


def of_stream(stream: BinaryIO) -> str:
    """Read a stream to its end and return the SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def files_below(path: Path) -> Iterator[Path]:
    """Yield every regular file at or below `path`, in a fixed order."""
    if path.is_file():
        yield path
        return
    for child in sorted(path.iterdir()):
        yield from files_below(child)


def of_listing(entries: Iterable[tuple[str, str]]) -> str:
    """Return one digest for a set of (name, digest) pairs, whatever their order."""
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(entries))
    return of_bytes(listing.encode())


class DigestCache:
    """Digests by path, kept in one JSON file beside the artefacts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def file(self, path: Path) -> str:
        """Return the SHA-256 of one file, from the cache where its stamp is unchanged."""
        path = path.resolve()
        known = self._known.get(str(path))
        if known is None or known["stamp"] != _stamp(path):
            _let_age(path)
            known = {"stamp": _stamp(path), "sha256": of_file(path)}
            self._known[str(path)] = known
        return str(known["sha256"])

    def tree(self, path: Path) -> str:
        """Return the SHA-256 of a file, or of the names and digests of all files below a folder."""
        if path.is_file():
            return self.file(path)
        files = files_below(path)
        return of_listing((str(file.relative_to(path)), self.file(file)) for file in files)

    def save(self) -> None:
        """Write the cache to disk, without files that are gone; losing it only costs time."""
        known = {name: entry for name, entry in self._known.items() if Path(name).is_file()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(known))
        scratch.replace(self._path)


def _read(path: Path) -> dict[str, dict[str, object]]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _let_age(path: Path) -> None:
    age = time.time() - path.stat().st_ctime
    if 0 <= age < _TICK_SECONDS:
        time.sleep(_TICK_SECONDS - age)
