"""A folder of pictures as people have them: its pictures, and what was left out, by kind.

Links are followed, except those to folders above, which hold all that is beside the pictures. Each
folder is entered once, by its own path rather than by a link, so that a loop of links ends; more
entries than sets of pictures have are refused. Names may be any bytes that the file system allows.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.errors import CalibrationError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# Folders and files that systems leave beside pictures; those that begin with a dot are too.
LITTER = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"}
LITTER |= {"thumbs.db", "desktop.ini"}
# ImageNet-1k has 1.4 million; a whole machine has more.
MOST = 2_000_000
SYSTEM, NOWHERE, DEVICE = (
    "hidden or of the system",
    "leading to nothing new",
    "neither file nor folder",
)
UPWARDS = "leading to a folder above"
OTHER = "of other kinds"


@dataclass(frozen=True)
class PictureFolder:
    """Pictures, sorted by their path below the folder, and how many other entries, by kind.

    `links` are those that pictures are, or lie behind.
    """

    root: Path
    pictures: tuple[Path, ...]
    links: tuple[Path, ...]
    left_out: Mapping[str, int]

    @classmethod
    def read(cls, root: Path) -> PictureFolder:
        """Return what is below a folder.

        Raises:
            CalibrationError: there is no picture in it, it has too many entries, or a folder in it
                cannot be entered.
        """
        walk = _Walk(root.resolve())
        try:
            files = list(walk.files(root))
        except OSError as error:
            raise CalibrationError(
                f"{error.filename} cannot be read: {error.strerror}.",
                remedy="give a folder that you may read",
            ) from error
        pictures = sorted(files, key=lambda file: file.relative_to(root).as_posix())
        folder = cls(root, tuple(pictures), tuple(walk.links), walk.left_out)
        folder._require_one()
        return folder

    def _require_one(self) -> None:
        if not self.pictures:
            beside = f": {by_kind(self.left_out)}" if self.left_out else ""
            raise CalibrationError(
                f"There is no picture ({', '.join(SUFFIXES)}) in {self.root}{beside}.",
                remedy="give a folder of real pictures of what the model will see",
            )


def by_kind(counts: Mapping[str, int]) -> str:
    """Return counts in words: `3 hidden or of the system, 1 of other kinds (.txt)`."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


class _Walk:
    """Goes through folders, each once, and counts what is no picture."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entries = 0
        self.links: list[Path] = []
        self._entered: set[tuple[int, int]] = set()
        self._counts: Counter[str] = Counter()
        self._suffixes: set[str] = set()

    @property
    def left_out(self) -> dict[str, int]:
        counts = dict(self._counts)
        if OTHER in counts and self._suffixes:
            counts[f"{OTHER} ({', '.join(sorted(self._suffixes))})"] = counts.pop(OTHER)
        return counts

    def files(self, root: Path) -> Iterator[Path]:
        """Yield the pictures of a folder; folders behind links after all others."""
        folders, links = [root], list[Path]()
        while folders or links:
            folder = folders.pop() if folders else links.pop(0)
            if not self._enter(folder):
                continue
            self.links += [folder] if folder.is_symlink() else []
            self._count(folder)
            for path in sorted(folder.iterdir()):
                if _is_litter(path.name):
                    self._counts[SYSTEM] += 1
                elif path.is_dir():
                    (links if path.is_symlink() else folders).append(path)
                elif self._is_picture(path):
                    self.links += [path] if path.is_symlink() else []
                    yield path

    def _count(self, folder: Path) -> None:
        with os.scandir(folder) as entries:
            self._entries += sum(1 for _ in itertools.islice(entries, MOST + 1))
        if self._entries > MOST:
            raise CalibrationError(
                f"{self._root} and what its links lead to have more than {MOST:,} entries.",
                cause="a folder of a whole disk or machine, or a link to one",
                remedy="give a folder of pictures of what the model will see",
            )

    def _enter(self, folder: Path) -> bool:
        identity = _identity(folder)
        if folder.is_symlink() and folder.resolve() in self._root.parents:
            self._counts[UPWARDS] += 1
            return False
        if identity in self._entered:
            self._counts[NOWHERE] += 1
            return False
        self._entered.add(identity)
        return True

    def _is_picture(self, path: Path) -> bool:
        if not path.is_file():
            self._counts[NOWHERE if path.is_symlink() else DEVICE] += 1
            return False
        if path.suffix.lower() not in SUFFIXES:
            self._counts[OTHER] += 1
            self._suffixes.add(path.suffix.lower() or "no suffix")
            return False
        return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER
