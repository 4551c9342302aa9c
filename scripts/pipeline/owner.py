"""Whose a container is, and whether that process still lives.

A process that runs containers holds a lock on a file of its own for as long as it lives, and its
containers are labelled with the file's name. The kernel lets go of the lock however the process
ends, and shows it to every namespace of process ids. A container whose file is not here belongs to
another user or machine, or to one that was started again since: it cannot be judged.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import tempfile
import uuid
from functools import cache
from pathlib import Path

LABEL = "dinov3-qnn.owner"
BOOT = Path("/proc/sys/kernel/random/boot_id")
# Labels are anyone's to set who may use the engine: nothing but such a name is opened.
_NAME = re.compile(r"[0-9a-f]{32}")


@cache
def label() -> str:
    """Return what this process labels its containers with; it is locked from then on."""
    name = uuid.uuid4().hex
    file = folder() / name
    # Never closed: the lock lasts as long as the process.
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    atexit.register(file.unlink, missing_ok=True)
    return f"{name}.{_boot()}"


def is_gone(label: str) -> bool:
    """Tell whether the process of a label is known to have ended."""
    name, _, boot = label.partition(".")
    if boot != _boot() or not _NAME.fullmatch(name):
        return False
    try:
        handle = os.open(folder() / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def forget(label: str) -> None:
    """Remove what a process that is gone left here, once its containers are removed."""
    (folder() / label.partition(".")[0]).unlink(missing_ok=True)


def folder() -> Path:
    """Return the folder of this user's locks; another one where somebody else took its name."""
    path = Path(tempfile.gettempdir()) / f"dinov3-qnn-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path if not path.is_symlink() and path.stat().st_uid == os.getuid() else _aside()


@cache
def _aside() -> Path:
    return Path(tempfile.mkdtemp(prefix="dinov3-qnn-"))


def _boot() -> str:
    return BOOT.read_text().strip() if BOOT.is_file() else "unknown"
