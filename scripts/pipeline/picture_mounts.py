"""A folder of pictures as a container sees it: with what its links lead to.

Where links lead out of the folder, it and the folders behind them have the same paths in the
container as here, so that every link means the same; else it is at `/images`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from scripts.errors import CalibrationError
from scripts.picture_folder import PictureFolder
from scripts.pipeline.mount import Mount

USUAL = "/images"
# Folders that a container has of its own, for programs or for us.
TAKEN = (
    *("bin", "boot", "build", "dev", "etc", "images", "lib", "lib64", "opt", "out", "proc"),
    *("run", "sbin", "src", "sys", "usr", "weights"),
)


def of(root: Path) -> tuple[str, tuple[Mount, ...]]:
    """Return where a container finds a folder of pictures, and what brings it there.

    Raises:
        CalibrationError: a link leads to a folder that a container has another one for.
    """
    outside = dict(_outside(root))
    for folder, link in outside.items():
        _require_free(folder, f"{link} leads to {folder}")
    if not outside:
        return USUAL, (Mount(root, USUAL),)
    _require_free(root, f"Links lead out of {root}")
    # What links lead to is in the digest of the folder that they are in.
    beyond = (Mount(folder, str(folder), keyed=False) for folder in _outermost({*outside}))
    return str(root), (Mount(root, str(root)), *beyond)


def _outside(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders outside that links lead to, step by step where links lead to links.

    Each comes with the link below the root that leads there.
    """
    for link in PictureFolder.read(root).links:
        place = link
        while place.is_symlink():
            place = _step(place)
            folder = place if place.is_dir() and not place.is_symlink() else place.parent
            if not folder.is_relative_to(root):
                yield folder, link


def _step(link: Path) -> Path:
    """Return what a link says, as an absolute path."""
    return Path(os.path.normpath(link.parent.resolve() / link.readlink()))


def _outermost(folders: set[Path]) -> list[Path]:
    return sorted(folder for folder in folders if folders.isdisjoint(folder.parents))


def _require_free(folder: Path, what: str) -> None:
    if len(folder.parts) < 2 or folder.parts[1] in TAKEN:
        raise CalibrationError(
            f"{what}, and a container has a folder of its own there.",
            remedy="take the link out, or put copies of the pictures in its place",
        )
