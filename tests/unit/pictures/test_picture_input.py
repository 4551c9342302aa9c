from pathlib import Path

import numpy as np
import pytest

from openqnn.network import samples
from openqnn.network.onnx_network import Network
from openqnn.refusal import UnfitSamples
from scripts.lowering.lower import lower
from scripts.picture_size import PictureSize
from scripts.pictures.picture_input import PictureInput
from scripts.pictures.preprocess import Preprocessing
from tests.networks import vit


@pytest.fixture
def takes_bytes(tmp_path: Path) -> PictureInput:
    target = tmp_path / "bytes.onnx"
    lower(vit.write(tmp_path), target, "int8", [], Preprocessing(PictureSize.square(vit.SIZE)))
    return PictureInput.load(target)


def test_a_network_of_planes_is_told_by_its_model(tmp_path: Path) -> None:
    picture_input = PictureInput.load(vit.write(tmp_path))
    assert picture_input == PictureInput(
        "pixel_values", np.dtype("float32"), (1, 3, vit.SIZE, vit.SIZE)
    )
    assert (picture_input.is_bytes, picture_input.layout, picture_input.suffix) == (
        False,
        "NCHW",
        ".raw",
    )


def test_so_is_one_of_bytes(takes_bytes: PictureInput) -> None:
    shape = (1, vit.SIZE, vit.SIZE, 3)
    assert takes_bytes == PictureInput("pixel_values", np.dtype("uint8"), shape)
    assert (takes_bytes.is_bytes, takes_bytes.layout, takes_bytes.suffix) == (True, "NHWC", ".rgb")


def test_bytes_are_read_as_they_are(takes_bytes: PictureInput, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, takes_bytes.shape, np.uint8)
    picture.tofile(tmp_path / "0.rgb")
    read = samples.read(tmp_path / "0.rgb", Network.load(tmp_path / "bytes.onnx"))
    assert read.dtype == np.uint8
    assert np.array_equal(read, picture)


def test_floats_are_not_taken_for_bytes(takes_bytes: PictureInput, tmp_path: Path) -> None:
    np.zeros(takes_bytes.shape, np.float32).tofile(tmp_path / "0.raw")
    with pytest.raises(UnfitSamples, match="no finite uint8 tensor"):
        samples.read(tmp_path / "0.raw", Network.load(tmp_path / "bytes.onnx"))
