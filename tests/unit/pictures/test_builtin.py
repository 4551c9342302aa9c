from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.pictures import builtin
from scripts.stages import images


def test_crops_for_the_two_uses_share_no_pixel() -> None:
    # Every pixel has a colour of its own.
    numbers = np.arange(427 * 640, dtype="<u4").reshape(427, 640, 1)
    photo = Image.fromarray(np.ascontiguousarray(numbers.view(np.uint8)[..., :3]))
    pictures: dict[str, set[bytes]] = {"calibration": set(), "heldout": set()}
    count = dict.fromkeys(pictures, 0)
    for path, crop in builtin.crops(photo):
        pixels = np.asarray(crop).reshape(-1, 3)
        assert crop.width == crop.height
        pictures[path.parts[0]] |= {pixel.tobytes() for pixel in pixels}
        count[path.parts[0]] += 1
    assert count == {"calibration": 35, "heldout": 32}
    assert not pictures["calibration"] & pictures["heldout"]
    assert len(pictures["calibration"]) == 427 * 427


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "calibration", "held_out", "labels"),
    [("digits", 1437, 360, set("0123456789")), ("photos", 70, 64, {"china", "flower"})],
)
def test_a_set_has_two_parts_of_different_pictures(
    tmp_path: Path, name: str, calibration: int, held_out: int, labels: set[str]
) -> None:
    images.main(argparse.Namespace(out=tmp_path, set=name))
    root = tmp_path / "images" / name
    parts = [sorted((root / part).rglob("*.png")) for part in ("calibration", "heldout")]
    contents = [{Image.open(file).tobytes() for file in part} for part in parts]
    assert [len(part) for part in contents] == [calibration, held_out]
    assert not contents[0] & contents[1]
    assert {file.parent.name for file in parts[1]} == labels


@pytest.mark.torch
def test_the_same_set_has_the_same_bytes(tmp_path: Path) -> None:
    for place in ("here", "there"):
        images.main(argparse.Namespace(out=tmp_path / place, set="photos"))
    here, there = (sorted((tmp_path / place).rglob("*.png")) for place in ("here", "there"))
    assert [file.read_bytes() for file in here] == [file.read_bytes() for file in there]
