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

from scripts.errors import ArtefactError, UsageError
from scripts.package import rule
from scripts.package.item import Item

# Weights hardly compress: higher levels cost minutes on a large model and gain about 1 %.
_LEVEL = 1
# A fixed time that every tar and file system takes: 1980-01-01, the first that zip knows.
_TIME = 315532800
_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_KINDS = {
    **dict.fromkeys((tarfile.SYMTYPE, tarfile.LNKTYPE), "a link"),
    **dict.fromkeys((tarfile.CHRTYPE, tarfile.BLKTYPE), "a device"),
    **dict.fromkeys((tarfile.XHDTYPE, tarfile.XGLTYPE), "a header of the pax format"),
    **dict.fromkeys((tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK), "a header of GNU tar"),
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
}


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
        UsageError: there is no such file.
        ArtefactError: it is truncated or damaged, or holds what a package may not; noticed on
            opening or while reading.
    """
    try:
        with regular(path) as file, gzip.GzipFile(fileobj=file) as zipped:
            yield _members(zipped, rule.Contents(os.fstat(file.fileno()).st_size))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise rule.refusal(f"{path} is not a whole package: {_in_words(error)}.") from error
    except ArtefactError as error:
        what = f"{path}: {error.what}"
        raise rule.refusal(what, cause=error.cause, remedy=error.remedy) from error


def copy(stream: Body, into: Callable[[bytes], object]) -> str:
    """Hand all of `stream` to `into` piece by piece; return its SHA-256."""
    digest = hashlib.sha256()
    while piece := stream.read(_CHUNK):
        digest.update(piece)
        into(piece)
    return digest.hexdigest()


def regular(path: Path) -> IO[bytes]:
    """Open an archive for reading.

    Raises:
        UsageError: there is none, or something else has its name.
        OSError: it may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"There is no archive {path}.",
            cause="a slip in the path, or a build of another model, precision or target",
            remedy="make one with `invoke package`; it says where",
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(
            f"{path} is not a file.", remedy="name an archive of `invoke package`, a .tar.gz"
        )
    return os.fdopen(descriptor, "rb")


def _in_words(error: BaseException) -> str:
    """Return what is wrong, in other words than the libraries'."""
    if isinstance(error, EOFError):
        return "it ends too early"
    if isinstance(error, gzip.BadGzipFile):
        is_start = str(error).startswith("Not a gzipped file")
        strange = "it is no .tar.gz, or has bytes behind its end"
        return strange if is_start else "its checksum is wrong"
    if isinstance(error, zlib.error):
        return "its compressed data is damaged"
    return "the header of a file in it is damaged"


def _members(source: io.BufferedIOBase, contents: rule.Contents) -> Iterator[Member]:
    """Yield what stands between the headers, and check that nothing stands behind the end."""
    root = ""
    while (block := _exactly(source, _BLOCK)).strip(b"\0"):
        name, path, size, mode = _parsed(block)
        root = root or name
        rule.check_path(root)
        if name != root:
            raise rule.refusal(f"{rule.shown(name)} is beside the package's folder {root}.")
        if block != _bytes_of(_header(root, path, size, mode)):
            raise rule.refusal(
                f"{rule.shown(path)} has a header that is not ours: an owner, a time, a link."
            )
        contents.add(path, size, mode)
        body = Body(source, size)
        yield Member(path, size, mode, body)
        copy(body, len)
        if _exactly(source, -size % _BLOCK).strip(b"\0"):
            raise rule.refusal("It has bytes between two files.")
    # A second block of zeros, zeros up to a full record, and the sum at the end of gzip.
    rest = source.read(tarfile.RECORDSIZE + 1)
    if not _BLOCK <= len(rest) <= tarfile.RECORDSIZE or rest.strip(b"\0"):
        raise rule.refusal("It has bytes behind its end.")


def _parsed(block: bytes) -> tuple[str, str, int, int]:
    """Return root, path, size and mode by a header; `_header` of them may be another one."""
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except ValueError:
        raise rule.refusal("A name in the package is not of plain letters.") from None
    root, _, path = header.name.partition("/")
    if header.type != tarfile.REGTYPE:
        raise rule.refusal(
            f"{rule.shown(header.name)} is {_KINDS.get(header.type, 'no regular file')}; "
            "a package has regular files only.",
            cause="the archive was unpacked and packed again, or another program made it",
        )
    if not path:
        raise rule.refusal(f"{rule.shown(root)} is in no folder: a package has one for all.")
    rule.check_path(path if root else header.name)
    if not 0 <= header.size <= rule.MAX_FILE:
        raise rule.refusal(f"{path} says that it has {header.size} bytes.")
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
