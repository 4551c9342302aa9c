"""The built-in picture sets: no download, and pictures of the real world.

`digits` has labels and a trained network to go with it; `photos` are crops of the two photographs
that come with scikit-learn. Held-out pictures share no digit and no pixel with calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from PIL import Image

from scripts.pictures import digits

Entry = tuple[PurePosixPath, Image.Image]
PHOTO_SPLIT_X = 427
# (side of the square in pixels, positions across, positions down), spread evenly over the part.
CALIBRATION_CROPS = ((427, 1, 1), (213, 3, 3), (107, 5, 5))
HELD_OUT_CROPS = ((213, 1, 2), (106, 2, 3), (71, 3, 8))


def digit_pictures() -> Iterator[Entry]:
    """Yield every digit, named by split, label and number in the data set."""
    for digit in digits.load():
        part = "heldout" if digit.held_out else "calibration"
        yield PurePosixPath(part, str(digit.label), f"{digit.number:04d}.png"), digit.picture


def photo_crops() -> Iterator[Entry]:
    """Yield 70 crops for calibration and 64 held out, named by split and photograph."""
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    for pixels, source in zip(samples.images, samples.filenames, strict=True):
        for path, crop in crops(Image.fromarray(pixels)):
            yield PurePosixPath(path.parent, Path(source).stem, path.name), crop


def crops(photo: Image.Image) -> Iterator[Entry]:
    """Yield squares of a 640 x 427 photograph at several scales.

    Those for calibration are from its left, the held-out ones from its right.
    """
    left = photo.crop((0, 0, PHOTO_SPLIT_X, photo.height))
    right = photo.crop((PHOTO_SPLIT_X, 0, photo.width, photo.height))
    parts = (("calibration", left, CALIBRATION_CROPS), ("heldout", right, HELD_OUT_CROPS))
    for part, area, plan in parts:
        for number, square in enumerate(_squares(area, plan)):
            yield PurePosixPath(part, f"{number:02d}.png"), square


def _squares(area: Image.Image, plan: tuple[tuple[int, int, int], ...]) -> Iterator[Image.Image]:
    for side, across, down in plan:
        for top in _positions(area.height - side, down):
            for left in _positions(area.width - side, across):
                yield area.crop((left, top, left + side, top + side))


def _positions(room: int, count: int) -> list[int]:
    return [room * step // max(count - 1, 1) for step in range(count)]


SETS: dict[str, Callable[[], Iterator[Entry]]] = {"digits": digit_pictures, "photos": photo_crops}
