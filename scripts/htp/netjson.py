"""The check of a converted model by its `_net.json`: for two mistakes that no tool reports.

Without encodings that match, a converter leaves a model in float and succeeds. Without the option
to preserve layouts, it changes the input to NHWC, with the same number of bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from scripts.errors import ConversionError

APP_WRITE, APP_READ = 0, 1
FIXED_POINT = (0x03, 0x04)  # upper byte of Qnn_DataType_t: signed, unsigned
FLOAT_32, UINT_8, UFIXED_POINT_8 = 0x0232, 0x0108, 0x0408


def check(description: Path, model: Path, quantized: bool) -> None:
    """Compare a `_net.json` with the ONNX model that was converted.

    Raises:
        ConversionError: shapes of inputs or outputs differ, a uint8 input is rescaled, or
            nothing was quantised.
    """
    tensors: dict[str, dict[str, Any]] = json.loads(description.read_text())["graph"]["tensors"]
    graph = onnx.load(model, load_external_data=False).graph
    for kind, values in ((APP_WRITE, graph.input), (APP_READ, graph.output)):
        converted = {name: tuple(t["dims"]) for name, t in tensors.items() if t["type"] == kind}
        meant = {value.name: _shape(value) for value in values}
        if converted != meant:
            raise ConversionError(
                f"The converter changed inputs or outputs: {converted}, not {meant}.",
                cause="an option to preserve their layout is missing",
            )
    for value in graph.input:
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8:
            _require_bytes(value.name, tensors[value.name])
    if quantized and not any(t["data_type"] >> 8 in FIXED_POINT for t in tensors.values()):
        raise ConversionError(
            "The converted model has no quantised tensor.",
            cause="encodings whose names are not those of the ONNX model",
            remedy="write both again: `invoke quantize`",
        )


def _require_bytes(name: str, tensor: dict[str, Any]) -> None:
    grid = tensor.get("quant_params", {}).get("scale_offset", {})
    as_they_are = (grid.get("scale"), grid.get("offset")) == (1, 0)
    kind = tensor["data_type"]
    if kind != UINT_8 and not (kind == UFIXED_POINT_8 and as_they_are):
        raise ConversionError(
            f"The input {name} does not take plain bytes: data type {kind:#06x}, {grid}.",
            cause="an option to preserve its data type is missing",
        )


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
