"""Room on the disk: what a build needs, what is free, and how a full disk is said."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import digests
from scripts.console import size
from scripts.errors import DiskFullError
from scripts.pipeline.request import Request

# Over the largest stage of each kind: measured on ViT-H+ (docs/figures.md), the rest on digits.
# 12 of it are the store's copies of three networks' data. Of the export, 8 with its copy, there is
# one for all precisions of a network.
PER_PARAMETER, SHARED = 34, 8
AT_LEAST = 100_000_000
REMEDY = "free space there, or give --build-dir on a larger disk; finished stages are kept"


def needed(request: Request, precisions: int = 1) -> int:
    """Return how many bytes builds of `request` in a number of precisions take in its folder."""
    own = (PER_PARAMETER - SHARED) * request.model.parameters
    return AT_LEAST + SHARED * request.model.parameters + precisions * own


def missing(request: Request, precisions: int = 1) -> int:
    """Return how many bytes of those are not there yet."""
    there = sum(file.stat().st_size for file in digests.files_below(request.root))
    return max(0, needed(request, precisions) - there)


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def free(folder: Path) -> int:
    """Return the bytes that a user may still write where a folder is, or will be."""
    return shutil.disk_usage(existing(folder)).free


def require(request: Request, precisions: int = 1) -> None:
    """Refuse whole builds in a number of precisions for which there is no room.

    Raises:
        DiskFullError: less is free than the build will take.
    """
    room, more = free(request.build_dir), missing(request, precisions)
    if room < more:
        raise DiskFullError(
            f"The disk of {request.build_dir} has {size(room)} free; a build of "
            f"{request.network} takes {size(more)} more.",
            cause="other builds: each network's folder there can be removed",
            remedy="free space there, or give --build-dir on a larger disk",
        )


def prepare(request: Request) -> None:
    """Make the folder of all builds, and write there, before anything is asked of the engine.

    Raises:
        OSError: it cannot be made or written to, or a file has the network's name.
    """
    with watched(request):
        request.build_dir.mkdir(parents=True, exist_ok=True)
        require_writable(request)


def require_writable(request: Request) -> None:
    """Write where a build will, or in the nearest folder above that is there.

    Raises:
        OSError: it cannot be written to, or a file has the network's name.
    """
    folder = request.root if request.root.exists() else existing(request.build_dir)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


@contextmanager
def watched(request: Request) -> Iterator[None]:
    """Name the folder and what is free, where this program finds the disk full.

    Raises:
        DiskFullError: the block met a full disk or a used-up quota.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full(request) from error


def full(request: Request, stage: str = "") -> DiskFullError:
    """Return the error of a disk that filled up, during a stage where one ran."""
    what = f"{stage}: the disk" if stage else "The disk"
    return DiskFullError(
        f"{what} of {request.root} is full: {size(free(request.root))} free.",
        cause=f"a build of {request.network} takes about {size(needed(request))}",
        remedy=REMEDY,
    )
