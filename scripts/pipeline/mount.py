"""A path of this machine in a container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mount:
    """A host path as the container sees it; read-only unless `writable`.

    Unless it is `keyed`, its content is that of another mount too, and in no stage's key.
    """

    source: Path
    target: str
    writable: bool = False
    keyed: bool = True
