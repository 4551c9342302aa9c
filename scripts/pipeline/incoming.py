"""A file that comes from elsewhere in parts, hashed as it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from scripts import digests


class Incoming:
    """A file that grows; what an earlier try left of it is its beginning."""

    def __init__(self, path: Path) -> None:
        """Open a file, empty if it is not there, and hash what is in it.

        Raises:
            OSError: it cannot be written or read.
        """
        self.path = path
        path.touch()
        with path.open("rb") as file:
            self._digest = digests.hash_of(file)
            self.size = file.tell()

    @property
    def sha256(self) -> str:
        """The SHA-256 of all that was written, in hexadecimal."""
        return self._digest.hexdigest()

    def clear(self) -> None:
        """Begin anew."""
        self.path.write_bytes(b"")
        self._digest, self.size = hashlib.sha256(), 0

    def append(self, chunks: Iterable[bytes], limit: int) -> None:
        """Write parts at the end of the file, which becomes no larger than `limit` bytes."""
        with self.path.open("ab") as file:
            for chunk in chunks:
                part = chunk[: limit - self.size]
                file.write(part)
                self._digest.update(part)
                self.size += len(part)
                if self.size >= limit:
                    break
