"""SHA-256 of files and folders, cached, so that an unchanged 3 GB file is not read again.

A cached digest is valid while size, times and inode stay the same: the rule of git's index.
No user program can set a file's ctime, so a write after the digest was taken is noticed, with two
exceptions: one within the same step of the clock that stamps files, and one after that clock was
set back. As in git, so young a file is not cached; once the clock went back, nothing cached counts.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from scripts import writing

_CHUNK = 1 << 22
# Linux stamps files with the last timer tick. A file younger than this could change once more
# without its ctime moving, so reading it waits until it is older.
_TICK_SECONDS = 0.02
# A stamp of whole seconds is of a file system that counts in seconds (ext4 with small inodes) or in
# two (FAT).
_COARSE_TICK_SECONDS = 2.0


def of_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Read a file and return its SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return of_stream(file)


def of_stream(stream: BinaryIO) -> str:
    """Read a stream to its end and return the SHA-256 in hexadecimal."""
    return hash_of(stream).hexdigest()


def hash_of(stream: BinaryIO) -> hashlib._Hash:
    """Read a stream to its end and return its SHA-256, which can go on with more bytes."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest


def files_below(path: Path) -> Iterator[Path]:
    """Yield every regular file at or below `path`, in a fixed order.

    Links are followed, except one to a folder that it is itself in, or that was come through.
    """
    return _below(path, ())


def _below(path: Path, way: tuple[Path, ...]) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        way = (*way, path.resolve())
        for child in sorted(path.iterdir()):
            if not _leads_back(child, way):
                yield from _below(child, way)


def _leads_back(path: Path, way: tuple[Path, ...]) -> bool:
    """Whether a path is a link to a folder on the way to it, or above one."""
    return path.is_symlink() and any(place.is_relative_to(path.resolve()) for place in way)


def of_listing(entries: Iterable[tuple[str, str]]) -> str:
    """Return one digest for a set of (name, digest) pairs, whatever their order.

    A name or a digest may hold any character: two sets never come to the same text.
    """
    listing = "".join(f"{_line(name, digest)}\n" for name, digest in sorted(entries))
    return of_bytes(listing.encode(errors="surrogateescape"))


def _line(name: str, digest: str) -> str:
    """Return a pair as `sha256sum` has it, in JSON after a backslash if that reads otherwise."""
    line = f"{digest}  {name}"
    is_plain = line.partition("  ") == (digest, "  ", name)
    if is_plain and "\n" not in line and not line.startswith("\\"):
        return line
    return f"\\{json.dumps([digest, name])}"


@dataclass(frozen=True)
class _Entry:
    stamp: tuple[int, ...]
    sha256: str


class DigestCache:
    """Digests by path, kept in one JSON file beside the artefacts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clock, self._entries = _load(path)
        self._saved = dict(self._entries)

    def file(self, path: Path) -> str:
        """Return the SHA-256 of one file, from the cache where its stamp is unchanged."""
        self._watch_clock()
        entry = self._entries.get(_key(path))
        return entry.sha256 if entry and entry.stamp == _stamp(path) else self._read(path)

    def tree(self, path: Path) -> str:
        """Return the SHA-256 of a file, or of the names and digests of all files below a folder."""
        if path.is_file():
            return self.file(path)
        files = files_below(path)
        return of_listing((str(file.relative_to(path)), self.file(file)) for file in files)

    def carry(self, source: Path, target: Path, change: Callable[[], object]) -> None:
        """Rename a file or make a hard link to it, and keep its digest for both names.

        That moves the ctime and nothing else; a write meanwhile would move the mtime too.
        """
        before, entry = _stamp(source), self._entries.get(_key(source))
        change()
        after = _stamp(target)
        if entry and entry.stamp == before and _of_content(after) == _of_content(before):
            carried = _Entry(after, entry.sha256)
            self._entries |= {_key(source): carried, _key(target): carried}

    def know(self, path: Path, sha256: str) -> None:
        """Take the digest of a file that this process has written, and hashed on its way."""
        self._watch_clock()
        _let_age(path)
        if _age(path) >= _tick(path):
            self._entries[_key(path)] = _Entry(_stamp(path), sha256)

    def save(self) -> None:
        """Write the cache to disk, without files that are gone; losing it only costs time."""
        self._watch_clock()
        if self._entries == self._saved:
            return
        self._entries = {
            name: entry for name, entry in self._entries.items() if Path(name).is_file()
        }
        self._saved = dict(self._entries)
        files = {name: asdict(entry) for name, entry in self._entries.items()}
        writing.replace(self._path, json.dumps({"clock": self._clock, "files": files}).encode())

    def _read(self, path: Path) -> str:
        self._entries.pop(_key(path), None)
        _let_age(path)
        is_settled, stamp = _age(path) >= _tick(path), _stamp(path)
        sha256 = of_file(path)
        if is_settled:
            self._entries[_key(path)] = _Entry(stamp, sha256)
        return sha256

    def _watch_clock(self) -> None:
        now = time.time()
        if now < self._clock:
            self._entries.clear()
        self._clock = now


def _load(path: Path) -> tuple[float, dict[str, _Entry]]:
    """Return when a cache was saved, and what is in it; nothing where it is damaged."""
    try:
        document = json.loads(path.read_text())
        entries = {
            name: _Entry(tuple(entry["stamp"]), entry["sha256"])
            for name, entry in document["files"].items()
        }
        return float(document["clock"]), entries
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0.0, {}


def _key(path: Path) -> str:
    """Return the name of a file in the cache; what a link leads to is in its stamp."""
    return str(path.absolute())


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _of_content(stamp: tuple[int, ...]) -> tuple[int, ...]:
    """Return what of a stamp stays when a file gets another name."""
    size, mtime, _, inode = stamp
    return (size, mtime, inode)


def _age(path: Path) -> float:
    """Return how many seconds ago a file was stamped; below 0 where the clock was set back."""
    return time.time() - path.stat().st_ctime_ns / 1e9


def _tick(path: Path) -> float:
    """Return the longest that two writes of a file can share a stamp, in seconds."""
    return _TICK_SECONDS if path.stat().st_ctime_ns % 10**9 else _COARSE_TICK_SECONDS


def _let_age(path: Path) -> None:
    if 0 <= (age := _age(path)) < _TICK_SECONDS:
        time.sleep(_TICK_SECONDS - age)
