"""What is written side by side is there as if it had been written in a row."""

from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from openqnn.network.onnx_network import ALIGNMENT, DataFile, Network
from openqnn.refusal import DamagedFile

ARRAYS = [np.full((300 + size, 7), size, np.float32) for size in range(20)]
FEW = np.arange(3, dtype=np.int64)


def _write(path: Path) -> None:
    graph = helper.make_graph([], "g", [], [])
    with DataFile(path.with_suffix(".onnx_data")) as data:
        for number, array in enumerate(ARRAYS):
            tensor = data.defer(f"t{number}", array.dtype, array.shape, partial(np.asarray, array))
            graph.initializer.append(tensor)
        graph.initializer.append(data.store("few", FEW))
    onnx.save(helper.make_model(graph), path)


def test_tensors_stand_in_order_at_aligned_places_and_read_back(tmp_path: Path) -> None:
    _write(tmp_path / "x.onnx")
    network = Network.load(tmp_path / "x.onnx")
    for number, array in enumerate(ARRAYS):
        assert np.array_equal(network.array(f"t{number}"), array)
    assert np.array_equal(network.array("few"), FEW)
    assert network.constants["few"].data_location == onnx.TensorProto.DEFAULT
    bytes_of = (tmp_path / "x.onnx_data").read_bytes()
    expected = b""
    for array in ARRAYS:
        expected += bytes(-len(expected) % ALIGNMENT) + array.tobytes()
    assert bytes_of == expected


@pytest.mark.parametrize(
    ("compute", "says"), [(lambda: 1 / 0, "division"), (lambda: FEW, "A tensor of 4000 bytes")]
)
def test_what_cannot_be_computed_is_not_passed_over(
    tmp_path: Path, compute: object, says: str
) -> None:
    with (
        pytest.raises((ArithmeticError, ValueError), match=says),
        DataFile(tmp_path / "x.onnx_data") as data,
    ):
        data.defer("t", np.dtype(np.float32), (1000,), compute)  # type: ignore[arg-type]


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "x.onnx")
    data = tmp_path / "x.onnx_data"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match="does not hold t19"):
        Network.load(tmp_path / "x.onnx").array("t19")


@pytest.mark.parametrize("kind", [ml_dtypes.int4, ml_dtypes.uint4])
@pytest.mark.parametrize("count", [4001, 4000, 5])
def test_numbers_of_four_bits_lie_as_onnx_has_them(tmp_path: Path, kind: type, count: int) -> None:
    values: NDArray[Any] = (
        (np.arange(count) * 7 % 16 + np.iinfo(np.int8).min).astype(np.int8).astype(kind)
    )
    path = tmp_path / "x.onnx"
    with DataFile(path.with_suffix(".onnx_data")) as data:
        tensor = data.store("t", values)
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [tensor])), path)
    (theirs,) = onnx.load(path).graph.initializer
    assert np.array_equal(numpy_helper.to_array(theirs), values)
    assert np.array_equal(Network.load(path).array("t"), values)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        assert path.with_suffix(".onnx_data").stat().st_size == (count + 1) // 2
