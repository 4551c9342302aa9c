"""DINOv3's preprocessing: a picture becomes the network's input tensor.

Rescale to [0, 1], resize (bilinear, antialiased), normalise, in that order: what Hugging Face's
`DINOv3ViTImageProcessor` does, not a resizing of 8-bit pixels. Only element-wise float64 arithmetic
is used, so every machine computes the same bytes. A BLAS or a vectorised libm would differ.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts import json_object
from scripts.catalog import IMAGENET_MEAN, IMAGENET_STD, Model
from scripts.errors import CheckpointError
from scripts.picture_size import PictureSize
from scripts.pictures import decoding
from scripts.pictures.decoding import Raster

BRIGHTEST = 255.0
ZERO, ONE = (0.0,) * 3, (1.0,) * 3
# What a processor's configuration may say of what is done here; mean and deviation are free.
FOLLOWED = {
    "resample": int(Image.Resampling.BILINEAR),
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_center_crop": False,
    "do_pad": False,
}
# Steps of a processor that change nothing here: every picture is read as RGB, `do_normalize` is
# followed, and there are no labels.
HARMLESS = {"do_convert_rgb", "do_normalize", "do_reduce_labels"}
# Entries that have to say something: of a null, transformers 4 takes its usual value, 5 none.
# A size may be null: then config.json or the catalog says it.
NEVER_NULL = ("resample", "do_resize", "do_rescale", "rescale_factor", "do_normalize")
# What timm's configuration may say; with all of the picture, its crop is DINOv3's usual input.
FOLLOWED_OF_TIMM = {"crop_pct": (1,), "crop_mode": ("center", "squash")}


@dataclass(frozen=True)
class Preprocessing:
    """The input's size; mean and standard deviation of each channel, of values in [0, 1]."""

    size: PictureSize
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD


def settings(size: PictureSize, weights: Path | None, model: Model | None = None) -> Preprocessing:
    """Return the preprocessing of a checkpoint.

    Mean and deviation are those of its image processor, else of timm's configuration, else its
    model's.

    Raises:
        CheckpointError: a configuration is unreadable or asks for what is not done here.
    """
    file, config = _configuration(weights)
    if config is None:
        return Preprocessing(size, model.mean, model.std) if model else Preprocessing(size)
    keys = ("image_mean", "image_std") if config.get("do_normalize", True) else ()
    mean, std = [_channels(file, config, key) for key in keys] or (ZERO, ONE)
    if min(std) <= 0:
        raise _no_colours(file, "deviation must be above 0")
    return Preprocessing(size, mean, std)


def _channels(file: Path, config: Mapping[str, Any], key: str) -> tuple[float, ...]:
    value = config.get(key)
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
        said = f"{key} is {json.dumps(value)[:80]}" if key in config else f"it has no {key}"
        raise _no_colours(file, f"{said}, where 3 numbers are needed")
    return tuple(map(float, value))


def _is_number(value: Any) -> bool:
    """Whether a value of JSON can be computed with: no boolean, and not beyond float64."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _no_colours(file: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{file} does not say mean and deviation of pictures: {why}.",
        cause="a slip in a file written by hand",
        remedy="fetch the checkpoint again, or delete the file to use the model's mean and std",
    )


def _configuration(weights: Path | None) -> tuple[Path, dict[str, Any] | None]:
    """Return what says how pictures are normalised, in the image processor's words, and its file.

    timm's interpolation is not taken over: it is bicubic for all its networks, and DINOv3's own
    preprocessing is bilinear.
    """
    folder = weights or Path()
    processor, timm = folder / "preprocessor_config.json", folder / "config.json"
    if weights and processor.is_file():
        config = json_object.read(processor)
        _require_followed(processor, config)
        return processor, config
    own = json_object.read(timm).get("pretrained_cfg") if weights else None
    if not isinstance(own, dict):
        return timm, None
    _require_followed_of_timm(timm, own)
    if "mean" not in own:
        return timm, None
    return timm, {"image_mean": own["mean"], "image_std": own.get("std")}


def _require_followed(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse what a processor's configuration asks for and this preprocessing does not do."""
    if nulls := [key for key in NEVER_NULL if key in config and config[key] is None]:
        raise CheckpointError(
            f"{file}: {nulls[0]} is null, which transformers 4 reads as the usual value and 5 as "
            "none.",
            cause="a slip in a file written by hand",
            remedy="write what is meant, or delete the entry for the usual value",
        )
    steps = {key for key in config if key.startswith("do_")} - HARMLESS
    for key in [*FOLLOWED, *sorted(steps - FOLLOWED.keys())]:
        value = config.get(key)
        if value is not None and value != FOLLOWED.get(key, False):
            raise _unlike(file, key, value, f": {json.dumps(FOLLOWED.get(key, False))}")
    size = config.get("size")
    if isinstance(size, dict) and not {"height", "width"} <= size.keys():
        raise _unlike(file, "size", size, ', whatever their shape: {"height": ..., "width": ...}')
    if type(size) is int and config.get("default_to_square") is False:
        raise _unlike(file, "default_to_square", False, ", whatever their shape: true")


def _require_followed_of_timm(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse a crop, or a picture that is not of three channels, in timm's configuration."""
    for key, values in FOLLOWED_OF_TIMM.items():
        value = config.get(key)
        if value is not None and value not in values:
            raise _unlike(file, key, value, f": {json.dumps(values[0])}")
    shape = config.get("input_size")
    if isinstance(shape, list) and len(shape) == 3 and shape[0] != 3:
        raise _unlike(file, "input_size", shape, ", as RGB: 3 channels")


def _unlike(file: Path, key: str, value: Any, usual: str) -> CheckpointError:
    return CheckpointError(
        f"{file} asks for {key} {json.dumps(value)[:80]}; pictures are resized as a whole, "
        f"bilinear, from values in [0, 1]{usual}.",
        remedy="train or export with that, or delete the entry if the difference may be",
    )


def to_pixels(picture: Image.Image, how: Preprocessing) -> NDArray[np.float32]:
    """Return `pixel_values`, float32 [3, height, width], channels in RGB order."""
    return normalised(resized(Raster(picture), how.size), how)


def of_file(path: Path, how: Preprocessing, scratch: Path | None = None) -> NDArray[np.float32]:
    """Return the `pixel_values` of a picture file; see `decoding.decoded`."""
    return normalised(resized(decoding.decoded(path, scratch), how.size), how)


def resized(raster: Raster, size: PictureSize) -> NDArray[np.float64]:
    """Return a picture as values in [0, 1], [3, height, width], channels in RGB order.

    The filter runs down the picture as it is looked at, then across. Whichever of both goes along
    the file's rows is applied to some rows at a time, the other as soon as a window of rows is
    whole; every value is the same sum in the same order as of the whole picture.
    """
    turn = raster.turn
    if turn.swapped:
        strips = (_across(strip, size.height, reverse=turn.columns) for strip in raster.strips())
        lines = _down(strips, raster.height, size.width, reverse=turn.rows)
        return _stacked(lines, size.width).transpose(2, 1, 0)
    rows = _down(raster.strips(), raster.height, size.height, reverse=turn.rows)
    lines = ((at, _across(row[None], size.width, reverse=turn.columns)[0]) for at, row in rows)
    return _stacked(lines, size.height).transpose(2, 0, 1)


def normalised(values: NDArray[np.float64], how: Preprocessing) -> NDArray[np.float32]:
    """Return the `pixel_values` of a resized picture."""
    mean, std = (np.array(channels)[:, None, None] for channels in (how.mean, how.std))
    return np.ascontiguousarray((values - mean) / std, dtype=np.float32)


def as_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a resized picture as RGB bytes [height, width, 3], as a camera would give them."""
    rounded = np.rint(values * BRIGHTEST).clip(0, BRIGHTEST)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0), dtype=np.uint8)


def _across(rows: NDArray[Any], size: int, *, reverse: bool) -> NDArray[np.float64]:
    """Resize rows [rows, width, 3], reversed or not, to `size`, one tap of the filter at a time."""
    pixels = _unit(rows[:, ::-1] if reverse else rows)
    taps, weights = _triangle_filter(pixels.shape[1], size)
    resized = np.zeros((len(pixels), size, pixels.shape[2]))
    for tap in range(taps.shape[1]):
        resized += pixels[:, taps[:, tap]] * weights[:, tap, None]
    return resized


def _down(
    strips: Iterator[NDArray[Any]], height: int, size: int, *, reverse: bool
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Resize `height` rows that come in strips [rows, width, 3] to `size`; reversed or not.

    Yields a new row's number and its values as soon as those that it is made of are there.
    """
    taps, weights = _triangle_filter(height, size)
    if reverse:
        taps = height - 1 - taps
    window, start = next(strips), 0
    for number in range(size)[:: -1 if reverse else 1]:
        while start + len(window) <= taps[number].max():
            spent = min(int(taps[number].min()) - start, len(window))
            window, start = np.concatenate([window[spent:], next(strips)]), start + spent
        row = np.zeros(window.shape[1:])
        for tap, weight in zip(taps[number], weights[number], strict=True):
            row += _unit(window[tap - start]) * weight
        yield number, row


def _unit(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return bytes as numbers in [0, 1]; numbers as they are."""
    return values.astype(np.float64) / BRIGHTEST if values.dtype == np.uint8 else values


def _stacked(lines: Iterable[tuple[int, NDArray[np.float64]]], size: int) -> NDArray[np.float64]:
    numbered = dict(lines)
    return np.stack([numbered[number] for number in range(size)])


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
