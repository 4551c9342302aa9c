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
from typing import IO

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


def create(path: Path) -> IO[bytes]:
    """Open a new file for writing, with folders; one that is there, or a link, is an error.

    Raises:
        FileExistsError: something has this name already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "wb")


def replaced(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; a link that was planted in its way is not followed."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with create(partial) as file:
        file.write(content)
    return partial.replace(path)


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
