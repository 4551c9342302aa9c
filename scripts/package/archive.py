"""A tar.gz whose bytes depend on nothing but names, modes and contents."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scripts.errors import ArtefactError
from scripts.package.item import Item

# Weights hardly compress: higher levels cost minutes on a large model and gain about 1 %.
_LEVEL = 1
# A fixed time that every tar and file system takes: 1980-01-01, the first that zip knows.
_TIME = 315532800
_CHUNK = 1 << 20


def write(path: Path, root: str, items: Iterable[Item]) -> None:
    """Pack `items` into the folder `root` of a new archive, sorted by path, owned by root.

    Raises:
        ArtefactError: a source does not exist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for item in sorted(items, key=lambda one: one.path):
            with item.open() as stream:
                tar.addfile(_header(root, item), stream)


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive for reading from start to end.

    Raises:
        ArtefactError: it is missing, truncated or damaged, noticed on opening or while reading.
    """
    try:
        with gzip.open(path) as zipped, tarfile.open(fileobj=zipped, mode="r|") as tar:
            yield tar
            while zipped.read(_CHUNK):  # gzip checks its sum of all bytes at the very end
                pass
    except FileNotFoundError:
        raise ArtefactError(f"There is no archive {path}.", remedy="invoke package") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArtefactError(
            f"{path} is not a whole package: {error}",
            cause="a copy or a download was cut short",
            remedy="copy it again, or make it again with `invoke package`",
        ) from error


def members(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo, IO[bytes]]]:
    """Yield path below the archive's root folder, header and bytes of every file.

    Raises:
        ArtefactError: something other than plain files in one folder.
    """
    roots = set()
    for member in tar:
        root, _, path = member.name.partition("/")
        roots.add(root)
        stream = tar.extractfile(member) if member.isreg() else None
        if stream is None or not path or ".." in path.split("/") or len(roots) > 1:
            raise ArtefactError(f"{member.name} has no place in a package of ours.")
        yield path, member, stream


def copy(stream: IO[bytes], into: Callable[[bytes], object]) -> str:
    """Hand all of `stream` to `into` piece by piece; return its SHA-256."""
    digest = hashlib.sha256()
    while piece := stream.read(_CHUNK):
        digest.update(piece)
        into(piece)
    return digest.hexdigest()


def _header(root: str, item: Item) -> tarfile.TarInfo:
    header = tarfile.TarInfo(f"{root}/{item.path}")
    header.size, header.mode, header.mtime = item.size(), item.mode, _TIME
    return header
