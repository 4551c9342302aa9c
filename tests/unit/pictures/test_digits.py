from __future__ import annotations

from hashlib import sha256

import numpy as np

from scripts.pictures import digits

LABELS = np.arange(1797) % 10


def test_the_split_is_fixed_for_good() -> None:
    held_out = digits.split(LABELS)
    expected = "4ffa2120508bcdd4985b9e29f55d4c7a1270dda915bf069e0b277618bd443d3f"
    assert sha256(np.packbits(held_out).tobytes()).hexdigest() == expected


def test_as_many_of_every_class_are_held_out() -> None:
    held_out = digits.split(LABELS)
    assert set(np.bincount(LABELS[held_out])) == {digits.HELD_OUT_PER_CLASS}


def test_a_digit_is_ink_on_paper() -> None:
    strokes = np.zeros((8, 8))
    strokes[:, :4] = 16
    picture = digits.render(strokes)
    assert picture.size == (48, 48)
    assert picture.mode == "RGB"
    assert picture.getpixel((2, 24)) == digits.INK
    assert picture.getpixel((45, 24)) == digits.PAPER


def test_swapped_colours_are_another_picture() -> None:
    swapped = np.array([digits.PAPER, digits.INK])[:, ::-1]
    distance = np.abs(swapped[:, None] - np.array([digits.PAPER, digits.INK])[None])
    assert distance.max(axis=2).min() >= 75
