"""Golden runs of packages on boards, as they are noted beside a build: `boards/<device>.json`.

Each file holds the last run of each package on a device, by the package's name: the digest under
which boards keep the package (`release`, the SHA-256 of its `SHA256SUMS`), time (`at`), cosine of
the golden output, what the board `measured` in microseconds, and what was `simulated`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def file_of(folder: Path, device: str) -> Path:
    """Return where runs on a device are noted under the folder of a build."""
    return folder / "boards" / f"{device}.json"


def files(folder: Path) -> list[Path]:
    """Return the files of all devices on which something of a build ran."""
    return sorted(folder.glob("boards/*.json"))


def read(file: Path) -> dict[str, Any]:
    """Return what was noted; what is not ours to read counts as nothing."""
    try:
        runs = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return runs if isinstance(runs, dict) else {}


def of_release(folder: Path, digest: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each device on which a release ran, and the run."""
    for file in files(folder):
        for run in read(file).values():
            if isinstance(run, dict) and run.get("release") == digest:
                yield file.stem, run
