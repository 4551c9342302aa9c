"""The .cpp of a model: one function a tensor and a node, and the two that the tools call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from openqnn import qnn
from openqnn.converter import templates
from openqnn.converter.archive import Stored
from openqnn.converter.record import Graph, Node, Quantization, Scalar, Tensor, TensorParam

PER_LINE = 8


@dataclass(frozen=True)
class Model:
    """What the source of a model is made of.

    `identifiers` maps the names of tensors and nodes to C identifiers, `stored` the ids of weights
    to how the .bin holds them; `command` is the converter's command line.
    """

    name: str
    graph: Graph
    tensors: Mapping[str, str]
    nodes: Mapping[str, str]
    stored: Mapping[int, Stored]
    version: str
    command: str

    def composed(self) -> Iterable[Tensor | Node]:
        """Yield what the model adds by itself, in order: nodes, inputs and weights.

        The other tensors come with their nodes: outputs and parameters.
        """
        for call in self.graph.calls:
            if isinstance(call, Node) or call.type == qnn.APP_WRITE or call.id in self.stored:
                yield call


def write(path: Path, model: Model) -> None:
    """Write the source of a model."""
    with path.open("w") as out:
        halves = [one.size for one in model.stored.values() if one.is_half]
        out.write(templates.HEAD.format(command=model.command, version=model.version))
        if halves:
            out.write(templates.WIDEN.format(largest=max(halves) // 2))
        for call in model.composed():
            if isinstance(call, Node):
                _write_node(out, model, call)
            else:
                _write_tensor(out, model, call)
        out.write(templates.TAIL.format(name=model.name, calls="\n".join(_calls(model))))


def _calls(model: Model) -> Iterable[str]:
    for call in model.composed():
        kind, names = ("Node", model.nodes) if isinstance(call, Node) else ("Tensor", model.tensors)
        yield f"  VALIDATE(add{kind}_{names[call.name]}({model.name}), err);"


def _write_tensor(out: TextIO, model: Model, tensor: Tensor) -> None:
    name = model.tensors[tensor.name]
    kept = model.stored.get(tensor.id)
    out.write(
        templates.TENSOR.format(
            identifier=name,
            note=f"  // weights: {name} sha256 {kept.sha256}\n" if kept else "",
            name=quoted(tensor.name),
            arrays=_arrays(tensor, name),
            literal=_literal(tensor, name, *_data(name, kept)),
        )
    )


def _data(name: str, kept: Stored | None) -> tuple[str, str]:
    """Return the C expressions for a tensor's data and its size in bytes."""
    if kept is None:
        return "nullptr", "0"
    if kept.is_half:
        return f"widened(BINVARSTART({name}), BINLEN({name}))", f"2 * BINLEN({name})"
    return f"BINVARSTART({name})", f"BINLEN({name})"


def _write_node(out: TextIO, model: Model, node: Node) -> None:
    name = model.nodes[node.name]
    params = [_param(model, name, param) for param in node.params]
    outputs = [(tensor, model.tensors[tensor.name]) for tensor in node.outputs]
    arrays = [_param_array(model, name, p) for p in node.params if isinstance(p, TensorParam)]
    arrays += [_arrays(tensor, identifier) for tensor, identifier in outputs]
    out.write(
        templates.NODE.format(
            identifier=name,
            name=quoted(node.name),
            arrays="".join(arrays),
            params=templates.PARAMS.format(identifier=name, items=",\n".join(params))
            if params
            else "",
            params_name=f"params_{name}" if params else "nullptr",
            num_params=len(params),
            inputs=",\n".join(f"    {quoted(tensor.name)}" for tensor in node.inputs),
            num_inputs=len(node.inputs),
            outputs=",\n".join(f"    {_literal(t, i, 'nullptr', '0')}" for t, i in outputs),
            num_outputs=len(outputs),
            package=quoted(node.package),
            type=quoted(node.type),
        )
    )


def _param(model: Model, node: str, param: Scalar | TensorParam) -> str:
    if isinstance(param, TensorParam):
        identifier = f"{node}_{param.name}"
        data = f"(uint8_t*){identifier}", str(param.tensor.size)
        literal = _literal(param.tensor, identifier, *data)
        return templates.TENSOR_PARAM.format(name=quoted(param.name), literal=literal)
    return templates.SCALAR_PARAM.format(
        name=quoted(param.name),
        datatype=qnn.DATATYPES[param.datatype],
        member=qnn.C_TYPES[param.datatype][1],
        value=number(param.value, param.datatype),
    )


def _param_array(model: Model, node: str, param: TensorParam) -> str:
    """Return the C array with the values of a tensor parameter, and that of its dimensions."""
    identifier, tensor = f"{node}_{param.name}", param.tensor
    kind = qnn.C_TYPES[tensor.datatype][0]
    values = np.fromfile(model.graph.raw(tensor), np.dtype(kind.removesuffix("_t"))).tolist()
    texts = [number(value, tensor.datatype) for value in values]
    return _arrays(tensor, identifier) + _array(kind, identifier, texts)


def _arrays(tensor: Tensor, identifier: str) -> str:
    """Return the arrays that a tensor's literal points to: dimensions, and encodings per axis."""
    dims = _array("uint32_t", f"dimensions_{identifier}", [str(dim) for dim in tensor.dims])
    return dims + (_encodings(tensor.quantization, identifier) if tensor.quantization else "")


def _encodings(quantization: Quantization, identifier: str) -> str:
    scales = [number(scale, qnn.FLOAT_32) for scale in quantization.scales]
    if quantization.encoding == qnn.AXIS_SCALE_OFFSET:
        pairs = [
            f"{{.scale= {scale}, .offset= {offset}}}"
            for scale, offset in zip(scales, quantization.offsets, strict=True)
        ]
        return _array("Qnn_ScaleOffset_t", f"{identifier}_axis_scale_offset", pairs, per_line=2)
    if quantization.encoding == qnn.BW_AXIS_SCALE_OFFSET:
        offsets = [str(offset) for offset in quantization.offsets]
        return _array("float", f"{identifier}_scales", scales) + _array(
            "int32_t", f"{identifier}_offsets", offsets
        )
    return ""


def _array(kind: str, name: str, items: list[str], per_line: int = PER_LINE) -> str:
    if len(items) <= per_line:
        return f"  {kind} {name}[] = {{{', '.join(items)}}};\n"
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return f"  {kind} {name}[] = {{\n    " + ",\n    ".join(lines) + "};\n"


def _literal(tensor: Tensor, identifier: str, data: str, size: str) -> str:
    return templates.LITERAL.format(
        name=quoted(tensor.name),
        type=qnn.TENSOR_TYPES[tensor.type],
        datatype=qnn.DATATYPES[tensor.datatype],
        quantization=_quantization(tensor.quantization, identifier),
        rank=len(tensor.dims),
        identifier=identifier,
        data=data,
        size=size,
    )


def _quantization(quantization: Quantization | None, identifier: str) -> str:
    if quantization is None:
        return templates.UNQUANTIZED
    return templates.QUANTIZED[quantization.encoding].format(
        identifier=identifier,
        axis=quantization.axis,
        bitwidth=quantization.bitwidth,
        count=len(quantization.scales),
        scale=number(quantization.scales[0], qnn.FLOAT_32),
        offset=quantization.offsets[0],
    )


def number(value: Any, datatype: int) -> str:
    """Return a C literal that reads back as the same number."""
    if datatype not in (qnn.FLOAT_32, qnn.FLOAT_64):
        return str(int(value))
    suffix, digits = ("f", 9) if datatype == qnn.FLOAT_32 else ("", 17)
    if math.isnan(value):
        return f'__builtin_nan{suffix}("")'
    if math.isinf(value):
        return f"{'-' if value < 0 else ''}__builtin_inf{suffix}()"
    text = f"{value:.{digits}g}"
    return text + suffix if "." in text or "e" in text else f"{text}.0{suffix}"


def quoted(text: str) -> str:
    """Return a C string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
