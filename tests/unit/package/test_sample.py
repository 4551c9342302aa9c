"""The package's sample: pictures become what the network takes, features become classes."""

import json
import os
import struct
import subprocess
import sys
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


def test_grey_of_16_bits_is_read_as_our_own_reader_does(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.linspace(0, 65535, 16 * 24).reshape(16, 24).astype(np.uint16)).save(path)
    how = Preprocessing(PictureSize(16, 24), MEAN, STD)
    difference = sample.preprocessed(path, PLANES)[0] - preprocess.of_file(path, how)
    assert np.abs(difference).max() < 1e-4


def test_pixels_without_a_brightest_value_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.tiff"
    Image.fromarray(np.ones((16, 24), np.float32)).save(path)
    with pytest.raises(SystemExit, match="has F pixels, whose brightest value is not known"):
        sample.preprocessed(path, PLANES)


def test_what_is_no_picture_is_refused_in_a_sentence(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:90])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("half.png", "text.png", "missing.png"):
        with pytest.raises(SystemExit, match=f"{name} cannot be read as a picture: "):
            sample.preprocessed(tmp_path / name, PLANES)


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "PIL.py").write_text("raise ModuleNotFoundError(\"No module named 'PIL'\")")
    program = [sys.executable, sample.__file__, "picture.png"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "No module named 'PIL': pip install numpy pillow onnxruntime onnxruntime-qnn\n"
    )


def head(path: Path, weight: Any, bias: Any, names: tuple[str, str] = ("weight", "bias")) -> Path:
    kinds = {"float16": "F16", "float32": "F32", "float64": "F64", "uint16": "BF16"}
    header: dict[str, dict[str, Any]] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, values in zip(names, (weight, bias), strict=True):
        ends = [begin, begin := begin + values.nbytes]
        row = {"dtype": kinds[str(values.dtype)], "shape": [*values.shape], "data_offsets": ends}
        header[name] = row
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + weight.tobytes() + bias.tobytes())
    return path


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["cls", "last_hidden_state"])
def test_a_head_is_a_linear_layer_on_cls(tmp_path: Path, name: str, kind: Any) -> None:
    random = np.random.default_rng(0)
    weight, bias, cls = (random.normal(size=shape).astype(kind) for shape in ((4, 8), 4, 8))
    tokens = {"cls": cls[None], "last_hidden_state": np.stack([cls, 9 * cls])[None]}
    shares = sample.classes({name: tokens[name]}, head(tmp_path / "h.safetensors", weight, bias))
    logits = weight.astype(np.float32) @ cls.astype(np.float32) + bias.astype(np.float32)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert [label for label, _ in shares] == np.argsort(-expected).tolist()
    assert dict(shares) == pytest.approx(dict(enumerate(expected.tolist())), rel=1e-4)


WEIGHT, BIAS = np.ones((4, 8), np.float32), np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("weight", "bias", "names", "reason"),
    [
        (WEIGHT, BIAS, ("head.weight", "head.bias"), "no tensor `weight`: it has head.weight, he"),
        (WEIGHT.astype(np.uint16), BIAS, ("weight", "bias"), "weight in BF16; F16, F32, F64 are"),
        (WEIGHT[:, :6], BIAS, ("weight", "bias"), r"weight \[4, 6\]; the network has .classes, 8"),
        (WEIGHT, BIAS[:3], ("weight", "bias"), r"a bias \[3\] for 4 classes"),
    ],
)
def test_a_head_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, weight: Any, bias: Any, names: tuple[str, str], reason: str
) -> None:
    path = head(tmp_path / "h.safetensors", weight, bias, names)
    with pytest.raises(SystemExit, match=reason):
        sample.classes({"cls": np.ones((1, 8), np.float32)}, path)


@pytest.mark.parametrize("size", [0, 20, -4])
def test_a_cut_head_is_refused_by_name(tmp_path: Path, size: int) -> None:
    path = head(tmp_path / "h.safetensors", WEIGHT, BIAS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SystemExit, match=r"h\.safetensors is no whole safetensors file"):
        sample.classes({"cls": np.ones((1, 8), np.float32)}, path)


def test_the_networks_own_head_needs_no_file() -> None:
    assert sample.classes({"head": np.array([[0.0, 2.0, 1.0]])}, None)[0][0] == 1


def test_it_is_in_the_package_and_stands_alone(tmp_path: Path) -> None:
    (item,) = (item for item in items(packages.build(tmp_path)) if item.role == "sample")
    assert item.path == "samples/features.py"
    with item.open() as stream:
        text = stream.read().decode()
    assert "scripts." not in text
    assert "openqnn" not in text
