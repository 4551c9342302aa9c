"""The lanes of the image: what differs between them, read from `docker/lanes/*.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from scripts.errors import UsageError
from scripts.source import ROOT
from scripts.words import nearest

DOCKER = ROOT / "docker"
CACHE = ROOT / ".cache" / "image"
DEFAULT = "bookworm"


@dataclass(frozen=True)
class Lane:
    """One distribution to build the image from.

    `built` tells whether this lane was ever built by us. `pockets` are the archive's suites that
    packages may come from, signed by `keyring`; `snapshot` are the archives of the past that still
    have them in years, `{date}` to be filled in. `bootstrap_image` can run mmdebstrap where this
    machine cannot. `glibc` decides which wheels fit, `hexagon` are the HTP architectures
    whose libraries go in, `registry` is a reference by digest to pull the image from, or "".
    """

    name: str
    built: bool
    suite: str
    pockets: tuple[str, ...]
    components: tuple[str, ...]
    keyring: str
    keyring_package: str
    bootstrap_image: str
    snapshot: tuple[str, ...]
    source_date_epoch: int
    glibc: str
    python: str
    gcc: str
    clang: str
    hexagon: tuple[str, ...]
    registry: str
    packages: tuple[str, ...]
    requirements: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The lane's own file."""
        return DOCKER / "lanes" / f"{self.name}.toml"

    def lock(self, kind: str) -> Path:
        """Return a lock file: `packages.txt`, `python.txt` or `digest`."""
        return DOCKER / "locks" / f"{self.name}.{kind}"


def names() -> list[str]:
    """Return the name of every lane."""
    return sorted(path.stem for path in (DOCKER / "lanes").glob("*.toml"))


def load(name: str) -> Lane:
    """Return one lane.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in names():
        remedy = f"{nearest(name, names())}one of: {', '.join(names())}"
        raise UsageError(f"There is no lane {name!r}.", remedy=remedy)
    data = tomllib.loads((DOCKER / "lanes" / f"{name}.toml").read_text())
    frozen: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
    }
    return Lane(name=name, **frozen)
