"""scikit-learn's handwritten digits as colour pictures, split for good into two halves of use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SPLIT_SEED = 20250819
HELD_OUT_PER_CLASS = 36
# Two colours that differ in every channel and are far from grey: a network that is fed BGR for RGB
# sees another world, so a swapped colour order cannot pass for a small loss of precision.
PAPER = (12, 24, 92)
INK = (255, 140, 26)
SIDE = 48


@dataclass(frozen=True)
class Digit:
    """A digit: its number in the data set, its value 0 to 9, which split it is in, its picture."""

    number: int
    label: int
    held_out: bool
    picture: Image.Image


def load() -> Iterator[Digit]:
    """Yield all 1797 digits in the data set's order."""
    from sklearn.datasets import load_digits

    data = load_digits()
    held_out = split(data.target)
    for number, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        yield Digit(number, int(label), bool(held_out[number]), render(image))


def split(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which digits are held out: never trained on, never calibrated on; as many a class.

    The order comes from raw 64-bit numbers, whose stream NumPy guarantees for all versions.
    """
    ranks = np.random.PCG64(SPLIT_SEED).random_raw(len(labels))
    held_out = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held_out[members[np.argsort(ranks[members], kind="stable")[:HELD_OUT_PER_CLASS]]] = True
    return held_out


def render(strokes: NDArray[np.float64]) -> Image.Image:
    """Return an 8x8 digit with ink from 0 to 16 as a picture of orange ink on dark blue paper."""
    coverage = Image.fromarray(np.rint(strokes * 255.0 / 16.0).astype(np.uint8))
    coverage = coverage.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    sheet = (coverage.size[0], coverage.size[1])
    paper, ink = Image.new("RGB", sheet, PAPER), Image.new("RGB", sheet, INK)
    return Image.composite(ink, paper, coverage)
