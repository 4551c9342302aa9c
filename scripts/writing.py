"""Files that are written whole or not at all, past links that were planted in their way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


def create(path: Path) -> IO[bytes]:
    """Open a new file for writing, with folders; one that is there, or a link, is an error.

    Raises:
        FileExistsError: something has this name already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "wb")


def replace(path: Path, content: bytes, *, synced: bool = False) -> Path:
    """Write a file in place of what has its name; `synced`, it is on the disk before it has it."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with create(partial) as file:
        file.write(content)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    return partial.replace(path)
