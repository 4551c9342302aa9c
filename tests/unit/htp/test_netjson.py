"""The silent mistakes of a converter are seen in what it wrote."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from scripts.errors import ConversionError
from scripts.htp import netjson


def network(folder: Path, kind: int = TensorProto.FLOAT) -> Path:
    shape = [1, 3, 16, 16] if kind == TensorProto.FLOAT else [1, 16, 16, 3]
    ends = [
        helper.make_tensor_value_info("pixel_values", kind, shape),
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, 5, 8]),
    ]
    path = folder / "x.onnx"
    onnx.save(helper.make_model(helper.make_graph([], "g", ends[:1], ends[1:])), path)
    return path


def description(folder: Path, dims: list[int], inner: int = netjson.FLOAT_32) -> Path:
    tensors = {
        "pixel_values": {"type": 0, "dims": dims, "data_type": netjson.FLOAT_32},
        "hidden": {"type": 3, "dims": [1, 5, 8], "data_type": inner},
        "last_hidden_state": {"type": 1, "dims": [1, 5, 8], "data_type": netjson.FLOAT_32},
    }
    path = folder / "x_net.json"
    path.write_text(json.dumps({"graph": {"tensors": tensors}}))
    return path


def of_bytes(folder: Path, **changes: object) -> Path:
    path = description(folder, [1, 16, 16, 3], netjson.UFIXED_POINT_8)
    document = json.loads(path.read_text())
    grid = {"scale": 1, "offset": 0}
    known = {"data_type": netjson.UFIXED_POINT_8, "quant_params": {"scale_offset": grid}}
    document["graph"]["tensors"]["pixel_values"].update({**known, **changes})
    path.write_text(json.dumps(document))
    return path


def test_float_and_quantised_models_pass(tmp_path: Path) -> None:
    model = network(tmp_path)
    netjson.check(description(tmp_path, [1, 3, 16, 16]), model, quantized=False)
    file = description(tmp_path, [1, 3, 16, 16], netjson.UFIXED_POINT_8)
    netjson.check(file, model, quantized=True)


def test_a_layout_turned_to_nhwc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="changed inputs or outputs"):
        netjson.check(description(tmp_path, [1, 16, 16, 3]), network(tmp_path), quantized=False)


def test_a_model_left_in_float_is_refused(tmp_path: Path) -> None:
    file = description(tmp_path, [1, 3, 16, 16])
    with pytest.raises(ConversionError, match="no quantised tensor"):
        netjson.check(file, network(tmp_path), quantized=True)


@pytest.mark.parametrize("changes", [{}, {"data_type": netjson.UINT_8, "quant_params": {}}])
def test_bytes_pass_as_they_are(tmp_path: Path, changes: dict[str, object]) -> None:
    model = network(tmp_path, TensorProto.UINT8)
    netjson.check(of_bytes(tmp_path, **changes), model, quantized=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"data_type": netjson.FLOAT_32},
        {"quant_params": {"scale_offset": {"scale": 0.5, "offset": 0}}},
        {"quant_params": {"scale_offset": {"scale": 1, "offset": -1}}},
        {"quant_params": {}},
    ],
)
def test_bytes_on_another_grid_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    model = network(tmp_path, TensorProto.UINT8)
    with pytest.raises(ConversionError, match="does not take plain bytes"):
        netjson.check(of_bytes(tmp_path, **changes), model, quantized=True)
