"""Whether a picture shows anything: one that does not has no ranges, and judges nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.pictures.decoding import Raster

# Of 255 levels: the noise of a camera whose lens is covered spans fewer in a resized picture.
LEVELS = 8
# The share of values at either end that may be stray: pixels that are stuck.
STRAY = 0.0005


def is_empty(picture: Raster, values: NDArray[Any]) -> bool:
    """Whether a picture is transparent all over, or of nearly one colour.

    Args:
        picture: as it is decoded.
        values: the same resized, in [0, 1], [3, height, width].
    """
    return picture.is_transparent or _span(values) < LEVELS / 255


def _span(values: NDArray[Any]) -> float:
    """Return how far apart the values of one channel are, of that with the most."""
    low, high = np.quantile(values, (STRAY, 1 - STRAY), axis=(1, 2))
    return float((high - low).max())
