"""The _net.json of a model: its graph without the weights, for people and for viewers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from openqnn import qnn
from openqnn.converter.cpp import Model
from openqnn.converter.record import Node, Quantization, Scalar, Tensor, TensorParam

JSON_TYPES = {"ElementWiseBinary": "Eltwise_Binary", "ElementWiseUnary": "Eltwise_Unary"}


def write(path: Path, model: Model) -> None:
    """Write the description; `path` is `<stem>_net.json`. Each tensor and node has a line."""
    stem = path.name.removesuffix("_net.json")
    head = {
        "model.cpp": f"{stem}.cpp",
        "model.bin": f"{stem}.bin" if model.stored else "NA",
        "converter_command": model.command,
        "copyright_str": "",
        "op_types": sorted({_type(node) for node in model.graph.nodes}),
    }
    tensors = ((t.name, _tensor(t)) for t in model.graph.tensors if _is_listed(model, t))
    nodes = ((node.name, _node(model, node)) for node in model.graph.nodes)
    with path.open("w") as out:
        out.write(f'{_dumped(head)[:-1]},\n"graph": {{\n"tensors": {{')
        _write_lines(out, tensors)
        out.write('},\n"nodes": {')
        _write_lines(out, nodes)
        out.write("}}}\n")


def _write_lines(out: TextIO, entries: Iterable[tuple[str, dict[str, Any]]]) -> None:
    separator = "\n"
    for name, entry in entries:
        out.write(f"{separator}{_dumped(name)}: {_dumped(entry)}")
        separator = ",\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _is_listed(model: Model, tensor: Tensor) -> bool:
    """Parameters are listed with their nodes."""
    return tensor.type != qnn.STATIC or tensor.id in model.stored


def _type(node: Node) -> str:
    return JSON_TYPES.get(node.type, node.type)


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "id": tensor.id,
        "type": tensor.type,
        "dataFormat": tensor.data_format,
        "data_type": tensor.datatype,
        "quant_params": _quant_params(tensor),
        "dims": list(tensor.dims),
        "is_dynamic_dims": [0] * len(tensor.dims),
        "is_quantizable": qnn.is_fixed_point(tensor.datatype),
        "params_count": math.prod(tensor.dims) if tensor.type == qnn.STATIC else 0,
    }


def _quant_params(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    if quantization is None:
        empty = {"scale": 0.0, "offset": 0}
        return {"definition": qnn.UNDEFINED, "encoding": qnn.UNDEFINED, "scale_offset": empty}
    known = {"definition": 1, "encoding": quantization.encoding}
    bits = quantization.bitwidth or qnn.bits(tensor.datatype)
    if quantization.encoding in (qnn.AXIS_SCALE_OFFSET, qnn.BW_AXIS_SCALE_OFFSET):
        return known | {"axis_scale_offset": _by_axis(quantization, bits)}
    return known | {"scale_offset": _scale_offset(tensor, quantization, bits)}


def _by_axis(quantization: Quantization, bits: int) -> dict[str, Any]:
    """List the encodings of all rows; a weight has thousands, their offsets mostly equal."""
    offsets = sorted(set(quantization.offsets))
    return {
        "axis": quantization.axis,
        "bitwidth": bits,
        "scales": quantization.scales,
        "offsets": offsets if len(offsets) == 1 else quantization.offsets,
    }


def _scale_offset(tensor: Tensor, quantization: Quantization, bits: int) -> dict[str, Any]:
    scale, offset = quantization.scales[0], quantization.offsets[0]
    low = -(1 << (bits - 1)) if tensor.datatype >> 8 == 3 else 0
    return {
        "bitwidth": bits,
        "minimum": scale * (low + offset),
        "maximum": scale * (low + (1 << bits) - 1 + offset),
        "scale": scale,
        "offset": offset,
    }


def _node(model: Model, node: Node) -> dict[str, Any]:
    tensors = (param for param in node.params if isinstance(param, TensorParam))
    scalars = (param for param in node.params if isinstance(param, Scalar))
    return {
        "package": node.package,
        "type": _type(node),
        "tensor_params": {p.name: {p.tensor.name: _param_tensor(model, p)} for p in tensors},
        "scalar_params": {p.name: {str(p.datatype): p.value} for p in scalars},
        "input_names": [tensor.name for tensor in node.inputs],
        "output_names": [tensor.name for tensor in node.outputs],
        "macs_per_inference": str(_macs(node)),
    }


def _param_tensor(model: Model, param: TensorParam) -> dict[str, Any]:
    kind = qnn.C_TYPES[param.tensor.datatype][0].removesuffix("_t")
    values = np.fromfile(model.graph.raw(param.tensor), np.dtype(kind))
    return _tensor(param.tensor) | {"data": values.reshape(param.tensor.dims).tolist()}


def _macs(node: Node) -> int:
    """Return the multiply-accumulates of a node: outputs times the length of each sum."""
    outputs = math.prod(node.outputs[0].dims)
    if node.type == "Conv2d":
        return outputs * math.prod(node.inputs[1].dims[:3])
    if node.type in ("FullyConnected", "MatMul"):
        return outputs * node.inputs[0].dims[-1]
    return 0
