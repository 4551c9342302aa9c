"""Pictures of a folder, one after the other: taken, or left out for a reason that is counted.

The host looks at pictures with this too, where openqnn is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import digests
from scripts.errors import CalibrationError, ImageFileError
from scripts.picture_folder import PictureFolder, by_kind
from scripts.picture_size import PictureSize
from scripts.pictures import content, decoding, preprocess
from scripts.pictures.decoding import Raster
from scripts.pictures.preprocess import Preprocessing
from scripts.words import counted

# Fewer pictures give ranges that are not steady.
FEW = 16
IN_OTHER_SET, EMPTY, COPY = "in the other set", "without content", "the same as others"
MASK, DARK = "with few values, as in masks", "dark, perhaps 12 bits stored in 16"
# What pictures are that nothing can be calibrated on.
CAUSES = {
    EMPTY: "of nearly one colour or transparent",
    MASK: "masks of labels in place of pictures",
    DARK: "scans whose values are not scaled to 16 bits",
    IN_OTHER_SET: "the same pictures for both sets",
    decoding.DAMAGED: "an interrupted copy",
    decoding.STRANGE: "files that are no pictures, whatever their names say",
}
# Multiples of 2^32 / golden ratio, modulo 2^32: any number of first terms is spread evenly.
GOLDEN_STEP = 2654435769


@dataclass(frozen=True)
class Shares:
    """How many pictures two sets want from one folder: all for calibration, or none held out.

    The held-out share is set aside first: what is asked for, at most a quarter of the folder.
    """

    calibration: int | None
    held_out: int

    @property
    def most(self) -> int | None:
        """How many usable pictures are enough for both, None where all are wanted."""
        return self.calibration and self.calibration + self.held_out

    def border(self, usable: int) -> int:
        """Return how many of the usable pictures calibration has; the next are held out."""
        aside = min(self.held_out, usable // 4)
        return min(self.calibration or usable, usable - aside)


@dataclass(frozen=True)
class Taken:
    """A picture of the set: its file and the file's hash; its tensor and its bytes, with theirs."""

    source: str
    sha256: str
    raw: str
    raw_sha256: str
    rgb: str
    rgb_sha256: str
    label: str | None


class Collector:
    """Writes the tensors of usable pictures, and remembers why others were not taken.

    `aside` are the pictures that are left to another set of the same folder, None without one.
    """

    def __init__(
        self, folder: PictureFolder, out: Path, how: Preprocessing, excluded: Collection[str] = ()
    ) -> None:
        self.images, self.out, self.how = folder.root, out, how
        self.others = folder.left_out
        self.excluded = excluded
        self.remedy = "give --images a folder of different, real pictures"
        self.taken: list[Taken] = []
        self.aside: list[str] | None = None
        self.skipped: dict[str, str] = {}
        self.masks: list[str] = []
        self.dark: list[str] = []
        self.held_out = True

    @property
    def left_out(self) -> str:
        """How many files were not taken, by kind, in words; nothing where all were."""
        return by_kind({**self.others, **Counter(self.skipped.values())})

    @property
    def summary(self) -> str:
        """How many of how many files can be used, and what is strange, in one line."""
        count = len(self.taken) + len(self.skipped)
        texts = [f"{len(self.taken)} of {counted(count, 'picture')} looked at can be used"]
        strange = {MASK: self.masks, DARK: self.dark}
        texts += [f"{len(sources)} {what}" for what, sources in strange.items() if sources]
        return "; ".join([*texts, *([f"left out: {self.left_out}"] if self.left_out else [])])

    def offer(self, file: Path) -> bool:
        """Take a picture and return true, or note why it is skipped."""
        source = file.relative_to(self.images).as_posix()
        try:
            picture = decoding.decoded(file, self.out)
        except ImageFileError as error:
            self.skipped[source] = error.kind
            return False
        values = preprocess.resized(picture, self.how.size)
        pixels = preprocess.normalised(values, self.how)
        digest = sha256(pixels.tobytes()).hexdigest()
        if reason := self._unfit(_emptiness(picture, values), digest):
            self.skipped[source] = reason
            return False
        self.masks += [source] if picture.is_mask else []
        self.dark += [source] if picture.is_dark else []
        self._take(file, source, pixels, preprocess.as_bytes(values))
        return True

    def _take(
        self, file: Path, source: str, pixels: NDArray[np.float32], rgb: NDArray[np.uint8]
    ) -> None:
        label = file.parent.name if file.parent != self.images else None
        digest = digests.of_file(file)
        files = *self._write("raw", pixels), *self._write("rgb", rgb)
        self.taken.append(Taken(source, digest, *files, label))

    def divide(self, shares: Shares) -> None:
        """Keep calibration's share of what was taken, and set the other set's aside."""
        border = shares.border(len(self.taken))
        rest = self.taken[border:]
        for image in rest:
            for name in (image.raw, image.rgb):
                (self.out / name).unlink()
        self.taken = self.taken[:border]
        self.aside = [image.source for image in rest[: shares.held_out]]

    def _write(self, suffix: str, values: NDArray[Any]) -> tuple[str, str]:
        """Write a file of the next picture; return its name and its hash."""
        path = self.out / f"{len(self.taken):06d}.{suffix}"
        path.write_bytes(values.tobytes())
        return path.name, sha256(values.tobytes()).hexdigest()

    def _unfit(self, emptiness: str, digest: str) -> str:
        if digest in self.excluded:
            return IN_OTHER_SET
        if emptiness:
            return emptiness
        return COPY if any(image.raw_sha256 == digest for image in self.taken) else ""


def _emptiness(picture: Raster, values: NDArray[np.float64]) -> str:
    """Return what a picture is of which nothing is to be seen, nothing where something is."""
    if not content.is_empty(picture, values):
        return ""
    if picture.is_transparent or picture.is_uniform:
        return EMPTY
    if picture.is_mask:
        return MASK
    return DARK if picture.is_dark else EMPTY


def require_readable(folder: PictureFolder) -> None:
    """Refuse a folder of which no file begins as a picture.

    Raises:
        CalibrationError: says what its files are instead, by kind.
    """
    kinds: Counter[str] = Counter()
    for file in folder.pictures:
        try:
            return decoding.require_header(file)
        except ImageFileError as error:
            kinds[error.kind] += 1
    raise CalibrationError(
        f"{folder.root} has no usable picture: {by_kind({**folder.left_out, **kinds})}.",
        cause=causes(kinds),
        remedy="give a folder of real pictures of what the model will see",
    )


def examined(folder: PictureFolder, size: PictureSize, scratch: Path) -> Collector:
    """Return what comes of the first pictures of a folder: as many as a set should have.

    More are looked at until one can be used; files are written to the folder `scratch`.
    """
    collector = Collector(folder, scratch, Preprocessing(size))
    for number, file in enumerate(spread(folder.pictures)):
        if number >= FEW and collector.taken:
            break
        collector.offer(file)
    return collector


def spread(files: Sequence[Path]) -> list[Path]:
    """Return the files reordered: for every n, the first n are spread evenly over the list."""
    ranked = sorted(range(len(files)), key=lambda index: index * GOLDEN_STEP % 2**32)
    order = [0] * len(files)
    for place, index in enumerate(ranked):
        order[index] = place
    return [files[place] for place in order]


def causes(kinds: Collection[str]) -> str:
    """Return the usual causes of pictures being left out, of those kinds."""
    return "; ".join(cause for kind, cause in CAUSES.items() if kind in kinds)
