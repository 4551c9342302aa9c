import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.errors import CalibrationError
from scripts.picture_size import PictureSize
from scripts.pictures.image_set import HeldOut


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "3").mkdir(parents=True)
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "3" / f"{name}.png")
    return folder


@pytest.fixture
def held_out(tmp_path: Path, images: Path) -> HeldOut:
    folder = tmp_path / "set"
    folder.mkdir()
    entries = []
    for index, path in enumerate(sorted(images.rglob("*.png"))):
        np.zeros(3 * 256, np.float32).tofile(folder / f"{index}.raw")
        digest = sha256(path.read_bytes()).hexdigest()
        source = str(path.relative_to(images))
        entries.append({"source": source, "sha256": digest, "label": "3"})
    (folder / "input_list.txt").write_text("/build/calibration/set/0.raw\n/build/c/set/1.raw\n")
    how = {"size": {"height": 16, "width": 16}, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    manifest = {**how, "images": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return HeldOut.load(folder)


def test_the_reference_sees_the_pictures_not_the_raws(held_out: HeldOut, images: Path) -> None:
    pixels = held_out.pixels(images, PictureSize.square(16))
    picture = np.asarray(Image.open(images / "3" / "a.png"), np.float32)
    expected = (picture.transpose(2, 0, 1) / 255 - 0.5) / 0.5
    assert pixels[0].shape == (1, 3, 16, 16)
    np.testing.assert_allclose(pixels[0][0], expected, atol=1e-6)


def test_another_picture_under_the_same_name_is_refused(held_out: HeldOut, images: Path) -> None:
    (images / "3" / "a.png").write_bytes((images / "3" / "b.png").read_bytes())
    with pytest.raises(CalibrationError, match=r"a\.png"):
        held_out.pixels(images, PictureSize.square(16))


def test_labels_are_class_numbers(held_out: HeldOut) -> None:
    assert held_out.labels(10) == [3, 3]


@pytest.mark.parametrize(("label", "classes"), [("3", 3), (None, 10), ("²", 10), ("2024", 10)])
def test_folders_that_are_no_classes_are_no_labels(
    held_out: HeldOut, label: str | None, classes: int
) -> None:
    held_out.manifest["images"][0]["label"] = label
    assert held_out.labels(classes) is None


def test_a_set_of_another_size_is_refused(held_out: HeldOut) -> None:
    held_out.require(PictureSize.square(16))
    with pytest.raises(CalibrationError, match="of 16 pixels, the network takes 32x16"):
        held_out.require(PictureSize(32, 16))


def test_the_first_pictures_are_a_set(held_out: HeldOut) -> None:
    first = held_out.first(1)
    assert first.sources == held_out.sources[:1]
    assert [file.name for file in first.files(".raw")] == ["0.raw"]
