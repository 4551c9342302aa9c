"""The package's sample: pictures become what the network takes, features become classes."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.package import sample
from scripts.package.contents import items
from scripts.picture_size import PictureSize
from scripts.pictures import preprocess
from scripts.pictures.preprocess import Preprocessing
from tests import packages

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
PLANES: dict[str, Any] = {
    "shape": [1, 3, 16, 24],
    "dtype": "float32",
    "preprocessing": {"mean": MEAN, "std": STD},
}
BYTES: dict[str, Any] = {"shape": [1, 16, 24, 3], "dtype": "uint8", "preprocessing": {}}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Larger than the network, lying on its side."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path, exif=turned)
    return path


def test_planes_are_those_of_our_own_preprocessing(picture: Path) -> None:
    expected = preprocess.of_file(picture, Preprocessing(PictureSize(16, 24), MEAN, STD))
    pixels = sample.preprocessed(picture, PLANES)
    assert (pixels.dtype, pixels.shape) == (np.float32, (1, 3, 16, 24))
    assert np.abs(pixels[0] - expected).max() < 1e-4


def test_bytes_are_rounded_and_interleaved(picture: Path) -> None:
    how = Preprocessing(PictureSize(16, 24), (0, 0, 0), (1, 1, 1))
    expected = 255 * preprocess.of_file(picture, how).transpose(1, 2, 0)
    pixels = sample.preprocessed(picture, BYTES)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1, 16, 24, 3))
    assert np.abs(pixels[0] - expected).max() < 0.51


def head(path: Path, weight: Any, bias: Any) -> Path:
    header: dict[str, dict[str, Any]] = {"__metadata__": {"format": "pt"}}
    header["weight"] = {
        "dtype": "F32",
        "shape": [*weight.shape],
        "data_offsets": [0, weight.nbytes],
    }
    ends = [weight.nbytes, weight.nbytes + bias.nbytes]
    header["bias"] = {"dtype": "F32", "shape": [*bias.shape], "data_offsets": ends}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + weight.tobytes() + bias.tobytes())
    return path


@pytest.mark.parametrize("name", ["cls", "last_hidden_state"])
def test_a_head_is_a_linear_layer_on_cls(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(0)
    weight, bias, cls = (random.normal(size=shape).astype(np.float32) for shape in ((4, 8), 4, 8))
    tokens = {"cls": cls[None], "last_hidden_state": np.stack([cls, 9 * cls])[None]}
    found = sample.classes({name: tokens[name]}, head(tmp_path / "h.safetensors", weight, bias))
    expected = np.exp(weight @ cls + bias)
    expected /= expected.sum()
    assert [label for label, _ in found] == np.argsort(-expected).tolist()
    assert dict(found) == pytest.approx(dict(enumerate(expected.tolist())), rel=1e-4)


def test_the_networks_own_head_needs_no_file() -> None:
    assert sample.classes({"head": np.array([[0.0, 2.0, 1.0]])}, None)[0][0] == 1


def test_it_is_in_the_package_and_stands_alone(tmp_path: Path) -> None:
    (item,) = (item for item in items(packages.build(tmp_path)) if item.role == "sample")
    assert item.path == "samples/features.py"
    with item.open() as stream:
        text = stream.read().decode()
    assert "scripts." not in text
    assert "openqnn" not in text
