"""One file of a package, before it is written and after."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts import digests
from scripts.errors import ArtefactError

DATA = 0o644
PROGRAM = 0o755


@dataclass(frozen=True)
class Item:
    """A file to pack: its path in the package, where its bytes come from, and what it is."""

    path: str
    source: Path | bytes
    role: str
    mode: int = DATA

    def open(self) -> io.BufferedReader | io.BytesIO:
        """Return the bytes as a stream.

        Raises:
            ArtefactError: the source does not exist.
        """
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        try:
            return self.source.open("rb")
        except FileNotFoundError:
            raise ArtefactError(
                f"{self.source} does not exist.", remedy="run the stage that makes it"
            ) from None

    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def entry(self) -> Entry:
        """Return the facts of the file; reads it through."""
        with self.open() as stream:
            digest = digests.of_stream(stream)
        return Entry(self.path, self.size(), f"{self.mode:04o}", digest, self.role)


@dataclass(frozen=True)
class Entry:
    """The facts of one packed file: size in bytes, mode in octal, SHA-256 in hexadecimal."""

    path: str
    size: int
    mode: str
    sha256: str
    role: str

    def as_json(self) -> dict[str, Any]:
        """Return the entry as it stands in `manifest.json`."""
        return asdict(self)
