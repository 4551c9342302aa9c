"""Private folders that do not outlive their process, even where it is killed.

A folder is alive while a process holds the lock on it, whatever its process id is called and
whichever container it runs in; the next process removes those that are not: they may hold
gigabytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.errors import DiskFullError

_PREFIX = "dinov3-package-"


@contextmanager
def folder() -> Iterator[Path]:
    """Make an empty folder that only this user can enter, for the time of the block.

    Raises:
        DiskFullError: there is no room for what the block writes into it.
    """
    _sweep()
    path, lock = _locked()
    try:
        yield path
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFullError(
            f"There is no room for the files of a package in {path.parent}.",
            remedy="free space there, or name another folder in TMPDIR",
        ) from error
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _locked() -> tuple[Path, int]:
    """Return a new folder and the descriptor that locks it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError):  # another process swept before there was a lock
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.is_dir():
                return path, lock
            os.close(lock)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
