import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.checkpoint import heads
from scripts.errors import CheckpointError
from tests import checkpoints

HIDDEN = 96
WEIGHT, BIAS = np.ones((10, HIDDEN), np.float32), np.ones(10, np.float32)


def _file(folder: Path, tensors: dict[str, np.ndarray], dtype: str = "F32") -> Path:
    checkpoints.write_safetensors(folder / "head.safetensors", tensors, dtype)
    return folder / "head.safetensors"


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_a_head_is_read_as_float32(tmp_path: Path, dtype: str) -> None:
    file = _file(tmp_path, {"weight": WEIGHT, "bias": BIAS}, dtype)
    heads.check(file, HIDDEN)
    values = heads.read(file, HIDDEN)
    assert {name: (value.shape, value.dtype.str) for name, value in values.items()} == {
        "weight": ((10, HIDDEN), "<f4"),
        "bias": ((10,), "<f4"),
    }


@pytest.mark.parametrize("prefix", ["classifier.", "fc.", "linear.", "decode_head.conv_seg."])
def test_a_head_may_have_a_prefix_and_be_a_convolution_of_1_x_1(
    tmp_path: Path, prefix: str
) -> None:
    weight = np.random.default_rng(0).standard_normal((10, HIDDEN), np.float32)
    plain = heads.read(_file(tmp_path, {"weight": weight, "bias": BIAS}), HIDDEN)
    tensors = {f"{prefix}weight": weight[:, :, None, None], f"{prefix}bias": BIAS}
    values = heads.read(_file(tmp_path, tensors), HIDDEN)
    assert [*sorted(values)] == ["bias", "weight"]
    for name, value in values.items():
        np.testing.assert_array_equal(value, plain[name])


def test_a_head_may_have_a_name_in_capitals(tmp_path: Path) -> None:
    file = _file(tmp_path, {"weight": WEIGHT}).rename(tmp_path / "HEAD.SAFETENSORS")
    assert heads.read(file, HIDDEN).keys() == {"weight"}


def test_a_bias_may_be_left_out(tmp_path: Path) -> None:
    assert [*heads.read(_file(tmp_path, {"weight": WEIGHT}), HIDDEN)] == ["weight"]


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"a.weight": WEIGHT, "b.bias": BIAS}, "it holds a.weight [10, 96], b.bias [10]."),
        ({"weight": WEIGHT, "scale": BIAS}, "it holds scale [10], weight [10, 96]."),
        ({"bn.weight": BIAS, "conv_seg.weight": WEIGHT}, "it holds bn.weight [10], conv_seg"),
        ({"head_weight": WEIGHT}, "it holds head_weight [10, 96]."),
        ({"weight": np.ones((10, HIDDEN, 3, 3))}, "[10, 96, 3, 3], not [classes, 96]"),
        ({"weight": np.ones((10, HIDDEN, 3, 3))}, "usual cause: a convolution of 3 x 3"),
        ({"weight": np.ones((10, 2 * HIDDEN))}, "CLS and the mean of the patches"),
        ({"weight": WEIGHT.T.copy()}, f"[{HIDDEN}, 10], not [classes, {HIDDEN}]"),
        ({"weight": WEIGHT[0]}, f"[{HIDDEN}], not [classes, {HIDDEN}]"),
        ({"weight": WEIGHT, "bias": BIAS[:9]}, "its bias is [9], not [10]"),
    ],
)
def test_what_is_no_head_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], says: str
) -> None:
    with pytest.raises(CheckpointError) as refused:
        heads.check(_file(tmp_path, tensors), HIDDEN)
    assert says in str(refused.value)


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "head.safetensors"
    with pytest.raises(CheckpointError, match="is not there: no head"):
        heads.check(file, HIDDEN)
    with pytest.raises(CheckpointError, match="is a folder, no head"):
        heads.check(tmp_path, HIDDEN)
    file.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        heads.check(file, HIDDEN)
    other = file.rename(tmp_path / "head.pth")
    with pytest.raises(CheckpointError, match=r"head\.pth is no \.safetensors file"):
        heads.check(other, HIDDEN)


def test_integers_are_refused(tmp_path: Path) -> None:
    file = _file(tmp_path, {"weight": WEIGHT})
    file.write_bytes(file.read_bytes().replace(b'"F32"', b'"I32"'))
    with pytest.raises(CheckpointError, match="stored as I32") as refused:
        heads.check(file, HIDDEN)
    assert "float32" in refused.value.remedy and "head" in refused.value.cause


@pytest.mark.parametrize("bias", [{}, {"bias": BIAS}])
def test_a_head_that_looks_at_nothing_is_refused(tmp_path: Path, bias: Mapping[str, Any]) -> None:
    file = _file(tmp_path, {"weight": WEIGHT * 0, **bias})
    with pytest.raises(CheckpointError, match="every weight is 0"):
        heads.check(file, HIDDEN)
    some = WEIGHT * 0
    some[3, 5] = 1e-3
    heads.check(_file(tmp_path, {"weight": some, **bias}), HIDDEN)


def test_a_pipe_and_a_device_are_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "head.safetensors"
    os.mkfifo(pipe)
    for strange in (pipe, Path(os.devnull)):
        with pytest.raises(CheckpointError, match=f"{strange} is no file"):
            heads.check(strange, HIDDEN)


def test_values_must_be_finite(tmp_path: Path) -> None:
    file = _file(tmp_path, {"weight": WEIGHT * np.float32(np.nan)})
    with pytest.raises(CheckpointError, match="weight has NaN") as refused:
        heads.read(file, HIDDEN)
    assert "earlier step" in refused.value.remedy and "diverged" in refused.value.cause
