"""The _net.json of a model: its graph without the weights, for people and for viewers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from openqnn import qnn
from openqnn.converter.cpp import Model
from openqnn.converter.record import Node, Quantization, Scalar, Tensor, TensorParam

JSON_TYPES = {"ElementWiseBinary": "Eltwise_Binary", "ElementWiseUnary": "Eltwise_Unary"}


def write(path: Path, model: Model) -> None:
    """Write the description; `path` is `<stem>_net.json`."""
    stem = path.name.removesuffix("_net.json")
    document = {
        "model.cpp": f"{stem}.cpp",
        "model.bin": f"{stem}.bin" if model.stored else "NA",
        "converter_command": model.command,
        "copyright_str": "",
        "op_types": sorted({_type(node) for node in model.graph.nodes}),
        "graph": {
            "tensors": {t.name: _tensor(t) for t in model.graph.tensors if _is_listed(model, t)},
            "nodes": {node.name: _node(model, node) for node in model.graph.nodes},
        },
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


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
    values = [_scale_offset(tensor, quantization, i) for i in range(len(quantization.scales))]
    known = {"definition": 1, "encoding": quantization.encoding}
    if quantization.encoding in (qnn.AXIS_SCALE_OFFSET, qnn.BW_AXIS_SCALE_OFFSET):
        return known | {"axis_scale_offset": {"axis": quantization.axis, "scale_offsets": values}}
    return known | {"scale_offset": values[0]}


def _scale_offset(tensor: Tensor, quantization: Quantization, index: int) -> dict[str, Any]:
    bits = quantization.bitwidth or qnn.bits(tensor.datatype)
    scale, offset = quantization.scales[index], quantization.offsets[index]
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
