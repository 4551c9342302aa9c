"""A tar.gz whose bytes depend on nothing but names, modes and contents.

What is read is what is written here, to the bit of every header: no links, no folders, no owners,
no extensions of the format that need memory or have two meanings.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts.errors import ArtefactError
from scripts.package import rule
from scripts.package.item import Item

# Weights hardly compress: higher levels cost minutes on a large model and gain about 1 %.
_LEVEL = 1
# A fixed time that every tar and file system takes: 1980-01-01, the first that zip knows.
_TIME = 315532800
_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Member:
    """One file of an archive: path below the root folder, size in bytes, mode, and its bytes."""

    path: str
    size: int
    mode: int
    stream: Body


class Body:
    """The bytes of one member, and no more."""

    def __init__(self, source: io.BufferedIOBase, size: int) -> None:
        self._source, self._left = source, size

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end.

        Raises:
            EOFError: the archive ends before the member does.
        """
        piece = self._source.read(min(size, self._left))
        if not piece and self._left:
            raise EOFError("it ends within a file")
        self._left -= len(piece)
        return piece


def write(path: Path, root: str, items: Iterable[Item]) -> None:
    """Pack `items` into the folder `root` of a new archive, sorted by path, owned by root.

    Raises:
        ArtefactError: a source does not exist, or may not be in a package.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = rule.Contents()
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for item in sorted(items, key=lambda item: item.path):
            with item.open() as stream:
                contents.add(item.path, item.size(), item.mode)
                tar.addfile(_header(root, item.path, item.size(), item.mode), stream)


@contextmanager
def opened(path: Path) -> Iterator[Iterator[Member]]:
    """Open an archive and give its members in order; each is to be read before the next.

    Raises:
        ArtefactError: it is missing, truncated or damaged, or holds what a package may not;
            noticed on opening or while reading.
    """
    try:
        with _regular(path) as file, gzip.GzipFile(fileobj=file) as zipped:
            yield _members(zipped, rule.Contents(os.fstat(file.fileno()).st_size))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArtefactError(
            f"{path} is not a whole package: {error}",
            cause="a copy or a download was cut short",
            remedy="copy it again, or make it again with `invoke package`",
        ) from error


def copy(stream: Body, into: Callable[[bytes], object]) -> str:
    """Hand all of `stream` to `into` piece by piece; return its SHA-256."""
    digest = hashlib.sha256()
    while piece := stream.read(_CHUNK):
        digest.update(piece)
        into(piece)
    return digest.hexdigest()


def _regular(path: Path) -> IO[bytes]:
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise ArtefactError(
            f"There is no archive {path}: {os.strerror(error.errno or 0)}.",
            remedy="make one with `invoke package`",
        ) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ArtefactError(f"{path} is not a file.", remedy="name an archive of `invoke package`")
    return file


def _members(source: io.BufferedIOBase, contents: rule.Contents) -> Iterator[Member]:
    """Yield what stands between the headers, and check that nothing stands behind the end."""
    root = ""
    while (block := _exactly(source, _BLOCK)).strip(b"\0"):
        name, path, size, mode = _parsed(block)
        root = root or name
        rule.check_path(root)
        if name != root or block != _bytes_of(_header(root, path, size, mode)):
            raise ArtefactError(f"{rule.shown(path)} has no place in a package of ours.")
        contents.add(path, size, mode)
        body = Body(source, size)
        yield Member(path, size, mode, body)
        copy(body, len)
        if _exactly(source, -size % _BLOCK).strip(b"\0"):
            raise tarfile.ReadError("bytes between files")
    # A second block of zeros, zeros up to a full record, and the sum at the end of gzip.
    rest = source.read(tarfile.RECORDSIZE + 1)
    if not _BLOCK <= len(rest) <= tarfile.RECORDSIZE or rest.strip(b"\0"):
        raise tarfile.ReadError("bytes behind its end")


def _parsed(block: bytes) -> tuple[str, str, int, int]:
    """Return root, path, size and mode by a header; `_header` of them may be another one."""
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except ValueError:
        raise ArtefactError("A name in the package is not of plain letters.") from None
    root, _, path = header.name.partition("/")
    if not path:
        raise ArtefactError(f"{rule.shown(root)} has no place in a package of ours.")
    rule.check_path(path)
    if not 0 <= header.size <= rule.MAX_FILE:
        raise ArtefactError(f"{path} says that it has {header.size} bytes.")
    return root, path, header.size, header.mode


def _bytes_of(header: tarfile.TarInfo) -> bytes:
    try:
        return header.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:  # the format has no room for it
        return b""


def _exactly(source: io.BufferedIOBase, size: int) -> bytes:
    piece = source.read(size)
    if len(piece) != size:
        raise EOFError("it ends within a header")
    return piece


def _header(root: str, path: str, size: int, mode: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(f"{root}/{path}")
    header.size, header.mode, header.mtime = size, mode, _TIME
    return header
