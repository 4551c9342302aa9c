from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.checkpoint.contents import Checkpoint
from scripts.checkpoint.tensors import is_finite
from scripts.errors import CheckpointError
from tests import checkpoints

SHAPES = checkpoints.shapes()


@pytest.mark.parametrize(("dtype", "exact_bits"), [("F16", 10), ("BF16", 7), ("F64", 23)])
def test_other_types_are_cast_to_float32(tmp_path: Path, dtype: str, exact_bits: int) -> None:
    values = {
        name: np.float32(1 + 2.0**-exact_bits) * np.ones(s, np.float32)
        for name, s in SHAPES.items()
    }
    opened = Checkpoint(checkpoints.write(tmp_path, values, dtype=dtype), SHAPES)
    read = opened.read("norm.weight")
    assert read.dtype == np.float32
    assert (read == 1 + 2.0**-exact_bits).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_tensor_that_is_not_finite_is_refused(tmp_path: Path, poison: float) -> None:
    values = checkpoints.tensors()
    values["norm.weight"][3] = poison
    opened = Checkpoint(checkpoints.write(tmp_path, values), SHAPES)
    with pytest.raises(CheckpointError, match=r"norm\.weight"):
        opened.read("norm.weight")


def test_a_layer_of_zeros_is_read(tmp_path: Path) -> None:
    values, name = checkpoints.tensors(), "layer.1.mlp.down_proj.weight"
    values[name][:] = 0
    assert not Checkpoint(checkpoints.write(tmp_path, values), SHAPES).read(name).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_one_value_that_is_not_finite_is_found_wherever_it_stands(value: float, place: int) -> None:
    values = np.linspace(-3.4e38, 3.4e38, 6, dtype=np.float32).reshape(2, 3)
    assert is_finite(values)
    values.flat[place] = value
    assert not is_finite(values)


def test_no_value_is_no_wrong_one() -> None:
    assert is_finite(np.zeros((0, 3), np.float32))
