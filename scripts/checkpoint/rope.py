"""DINOv3's rotary position tables for one picture size, as constants."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def tables(
    rows: int, columns: int, head_dim: int, base: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cosines and sines, each float32 [rows * columns, head_dim].

    As `DINOv3ViTRopePositionEmbedding`: patch centres in [-1, 1], (y, x), each with `head_dim / 4`
    frequencies, twice. In double precision through libm, whose rounded results are the same on
    every machine; torch's vectorised float32 results can differ.
    """
    frequencies = [base ** (-4 * index / head_dim) for index in range(head_dim // 4)]
    angles = [
        [2 * math.pi * place * frequency for place in (y, x) for frequency in frequencies] * 2
        for y in _centres(rows)
        for x in _centres(columns)
    ]
    cosines = [[math.cos(angle) for angle in row] for row in angles]
    sines = [[math.sin(angle) for angle in row] for row in angles]
    return np.array(cosines, np.float32), np.array(sines, np.float32)


def _centres(count: int) -> list[float]:
    return [2 * (index + 0.5) / count - 1 for index in range(count)]
