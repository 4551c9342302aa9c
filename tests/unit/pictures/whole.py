"""The resize of a picture in one piece, as it was before pictures came in strips: a reference."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from scripts.picture_size import PictureSize
from scripts.pictures import preprocess


def load(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def resized(picture: Image.Image, size: PictureSize) -> np.ndarray:
    pixels = np.asarray(picture, dtype=np.float64).transpose(2, 0, 1) / 255.0
    pixels = _rows(pixels, size.height)
    return _rows(pixels.transpose(0, 2, 1), size.width).transpose(0, 2, 1)


def _rows(pixels: np.ndarray, size: int) -> np.ndarray:
    rows, weights = preprocess._triangle_filter(pixels.shape[1], size)
    out = np.zeros((pixels.shape[0], size, pixels.shape[2]))
    for tap in range(rows.shape[1]):
        out += pixels[:, rows[:, tap]] * weights[:, tap, None]
    return out
