"""Seeded random weights for any member of the family: the real ones are gated.

Every tensor has a stream of its own, keyed by seed and name, so tensors can be computed one at a
time, in any order. Values are sums of integers scaled once: the same bytes on every machine, which
the logarithms of a normal distribution do not guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

# DINOv3ViTConfig.initializer_range, and the tensors that it sets to ones and zeros.
STANDARD_DEVIATION = 0.02
ONES = ("norm1.weight", "norm2.weight", "norm.weight", "lambda1")
ZEROS = (".bias", "mask_token")
TERMS = 4
LEVELS = 2**16
# Drawing is slow: larger tensors repeat a block. Its length is prime, so no two rows are alike.
BLOCK = 262_139


class Synthetic:
    """Random weights of the given shapes."""

    def __init__(self, seed: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.seed, self._shapes = seed, dict(shapes)

    @property
    def names(self) -> list[str]:
        """Every tensor, sorted."""
        return sorted(self._shapes)

    def read(self, name: str) -> NDArray[np.float32]:
        """Return one tensor, initialised as `DINOv3ViTModel` does: bells, ones and zeros."""
        shape = self._shapes[name]
        if name.endswith(ZEROS):
            return np.zeros(shape, np.float32)
        if name.endswith(ONES):
            return np.ones(shape, np.float32)
        return np.resize(_bell(self.seed, name, min(prod(shape), BLOCK)), shape)


def _bell(seed: int, name: str, count: int) -> NDArray[np.float32]:
    """Return sums of four uniform numbers, centred and scaled: a bell cut off at 3.5 sigma."""
    key = int.from_bytes(sha256(f"{seed}/{name}".encode()).digest(), "little")
    drawn = np.random.Generator(np.random.SFC64(key)).integers(
        0, LEVELS, (TERMS, count), dtype=np.uint16
    )
    total = drawn[0].astype(np.int32)
    for term in drawn[1:]:
        total += term
    total -= TERMS * (LEVELS - 1) // 2
    sigma = sqrt(TERMS * (LEVELS**2 - 1) / 12)
    return total.astype(np.float32) * np.float32(STANDARD_DEVIATION / sigma)
