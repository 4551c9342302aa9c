"""Sizes as users write them, and what patches make of them."""

import pytest

from scripts.errors import UsageError
from scripts.picture_size import PictureSize


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", (512, 512)), ("480x640", (480, 640)), (" 224 ", (224, 224)), ("320X256", (320, 256))],
)
def test_a_size_is_height_by_width(text: str, size: tuple[int, int]) -> None:
    assert PictureSize.parse(text).axes == size


@pytest.mark.parametrize(
    "text", ["", "x", "480x", "-224", "480x640x3", "480xX640", "22.4", "٢٢٤", "480 x 640"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no picture size"):
        PictureSize.parse(text)


@pytest.mark.parametrize("text", ["512", "480x640"])
def test_a_size_is_written_as_it_is_read(text: str) -> None:
    assert str(PictureSize.parse(text)) == text


def test_patches_are_rows_and_columns() -> None:
    assert PictureSize(480, 640).patches(16) == (30, 40)


@pytest.mark.parametrize("size", [PictureSize(225, 224), PictureSize(224, 230), PictureSize(0, 16)])
def test_a_size_that_patches_do_not_divide_is_refused_with_the_nearest(size: PictureSize) -> None:
    with pytest.raises(UsageError, match="do not divide") as refusal:
        size.patches(16)
    nearest = PictureSize.parse(refusal.value.remedy.split()[1])
    assert nearest.patches(16)
