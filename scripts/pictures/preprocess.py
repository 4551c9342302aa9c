"""DINOv3's preprocessing: a picture becomes the network's input tensor.

Rescale to [0, 1], resize (bilinear, antialiased), normalise, in that order: what Hugging Face's
`DINOv3ViTImageProcessor` does, not a resizing of 8-bit pixels. Only element-wise float64 arithmetic
is used, so every machine computes the same bytes. A BLAS or a vectorised libm would differ.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from scripts.catalog import IMAGENET_MEAN, IMAGENET_STD, Model
from scripts.errors import CheckpointError, ImageFileError
from scripts.picture_size import PictureSize

BRIGHTEST = 255.0
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Preprocessing:
    """The input's size; mean and standard deviation of each channel, of values in [0, 1]."""

    size: PictureSize
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD


def settings(size: PictureSize, weights: Path | None, model: Model | None = None) -> Preprocessing:
    """Return the preprocessing of a checkpoint, its model's where it has no processor config.

    Raises:
        CheckpointError: `preprocessor_config.json` is unreadable or asks for another resampling.
    """
    file = weights / "preprocessor_config.json" if weights else None
    if file is None or not file.is_file():
        return Preprocessing(size, model.mean, model.std) if model else Preprocessing(size)
    try:
        config = json.loads(file.read_text())
        mean, std = (tuple(map(float, config[key])) for key in ("image_mean", "image_std"))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{file} is not an image processor's configuration: {error!r}.",
            remedy="fetch the checkpoint again, or delete the file to use the model's mean and std",
        ) from error
    if config.get("resample", Image.Resampling.BILINEAR) != Image.Resampling.BILINEAR:
        raise CheckpointError(f"{file} asks for a resampling other than bilinear.")
    if len(mean) != 3 or len(std) != 3 or 0.0 in std:
        raise CheckpointError(f"{file}: image_mean and image_std must be 3 numbers each, std > 0.")
    return Preprocessing(size, mean, std)


def load(path: Path) -> Image.Image:
    """Return a picture as 8-bit RGB, turned as its EXIF orientation says.

    Raises:
        ImageFileError: it is damaged, of an unknown format, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            if picture.mode in DEEP_MODES:
                raise ImageFileError(
                    f"{path} has {picture.mode} pixels, not 8 bits a channel.",
                    remedy="convert it to an 8-bit PNG or JPEG",
                )
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageFileError(
            f"{path} cannot be read as a picture: {error}.",
            cause="an interrupted copy, or a file that is no picture",
            remedy="replace the file, or take it out of the folder",
        ) from error


def to_pixels(picture: Image.Image, how: Preprocessing) -> NDArray[np.float32]:
    """Return `pixel_values`, float32 [3, height, width], channels in RGB order."""
    return normalised(resized(picture, how.size), how)


def resized(picture: Image.Image, size: PictureSize) -> NDArray[np.float64]:
    """Return a picture as values in [0, 1], [3, height, width], channels in RGB order."""
    pixels = np.asarray(picture, dtype=np.float64).transpose(2, 0, 1) / BRIGHTEST
    pixels = _resize_rows(pixels, size.height)
    return _resize_rows(pixels.transpose(0, 2, 1), size.width).transpose(0, 2, 1)


def normalised(values: NDArray[np.float64], how: Preprocessing) -> NDArray[np.float32]:
    """Return the `pixel_values` of a resized picture."""
    mean, std = (np.array(channels)[:, None, None] for channels in (how.mean, how.std))
    return np.ascontiguousarray((values - mean) / std, dtype=np.float32)


def as_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a resized picture as RGB bytes [height, width, 3], as a camera would give them."""
    rounded = np.rint(values * BRIGHTEST).clip(0, BRIGHTEST)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0), dtype=np.uint8)


def _resize_rows(pixels: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Resize axis 1 of [3, H, W] to `size`, one tap of the filter at a time."""
    rows, weights = _triangle_filter(pixels.shape[1], size)
    resized = np.zeros((pixels.shape[0], size, pixels.shape[2]))
    for tap in range(rows.shape[1]):
        resized += pixels[:, rows[:, tap]] * weights[:, tap, None]
    return resized


def _triangle_filter(old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return source indices and weights, each [new, taps], of torch's antialiased bilinear filter.

    The triangle is as wide as the step between two outputs, never narrower than one source pixel;
    taps beyond the border weigh nothing and the rest is normalised.
    """
    scale = old / new
    support = max(scale, 1.0)
    centres = scale * (np.arange(new) + 0.5)
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + support + 0.5).astype(np.int64), old)
    taps = first[:, None] + np.arange((last - first).max())
    weights = np.maximum(1.0 - np.abs(taps + 0.5 - centres[:, None]) / support, 0.0)
    weights[taps >= last[:, None]] = 0.0
    return np.minimum(taps, old - 1), weights / weights.sum(axis=1, keepdims=True)
