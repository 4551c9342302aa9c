"""The .cpp of a model: a line a tensor and a node, and the two functions that the tools call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from openqnn import qnn
from openqnn.converter import order, templates
from openqnn.converter.archive import Stored
from openqnn.converter.record import Graph, Quantization, Scalar, Tensor, TensorParam

PER_LINE, BREAK = 12, ",\n    "


@dataclass(frozen=True)
class Model:
    """What the source of a model is made of.

    `stored` maps the ids of weights to how the .bin holds them, `encodings` is how it holds the
    encodings per axis, if there are any; `command` is the converter's command line.
    """

    name: str
    graph: Graph
    stored: Mapping[int, Stored]
    encodings: Stored | None
    version: str
    command: str


def write(path: Path, model: Model) -> None:
    """Write the source of a model."""
    values = _Values()
    lines = list(_lines(model, values))
    with path.open("w") as out:
        rank = _most(tensor.dims for tensor in model.graph.tensors)
        head = {"command": model.command, "version": model.version, "rank": rank}
        out.write(templates.HEAD.substitute(head))
        out.writelines(values.definitions())
        out.write(templates.LINES)
        out.writelines(lines)
        out.write("};\n")
        _write_functions(out, model)


class _Values:
    """The arrays of values that parameters point to, each once."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}

    def name(self, kind: str, values: tuple[str, ...]) -> str:
        """Return the name of the array of a C type with these values."""
        return self._names.setdefault((kind, values), f"values_{len(self._names)}")

    def definitions(self) -> Iterator[str]:
        for (kind, values), name in self._names.items():
            rows = (", ".join(values[i : i + PER_LINE]) for i in range(0, len(values), PER_LINE))
            yield f"static const {kind} {name}[] = {{{BREAK.join(rows)}}};\n"


def _lines(model: Model, values: _Values) -> Iterator[str]:
    for call in order.composed(model.graph):
        if isinstance(call, Tensor):
            yield _line(_kind(model, call), quoted(call.name), *_form(call))
            continue
        yield from (_param(model, values, param) for param in call.params)
        for tensor in call.outputs:
            kind = qnn.TENSOR_TYPES[tensor.type].removeprefix("QNN_TENSOR_TYPE_")
            yield _line("OUTPUT", quoted(tensor.name), kind, *_form(tensor))
        inputs = " ".join(quoted(f"{tensor.name}\0") for tensor in call.inputs) or '""'
        yield _line("NODE", *map(quoted, (call.name, call.package, call.type)), inputs)


def _line(kind: str, *arguments: str) -> str:
    return f"  {kind}({', '.join(arguments)}),\n"


def _kind(model: Model, tensor: Tensor) -> str:
    """Return what the line of an input or of a weight begins with."""
    kept = model.stored.get(tensor.id)
    if kept is None:
        return "INPUT"
    return "HALF_WEIGHT" if kept.is_half else "WEIGHT"


def _param(model: Model, values: _Values, param: Scalar | TensorParam) -> str:
    if isinstance(param, Scalar):
        datatype, (_, member) = _datatype(param.datatype), qnn.C_TYPES[param.datatype]
        value = number(param.value, param.datatype)
        return _line("SCALAR", quoted(param.name), datatype, member, value)
    kind, tensor = qnn.C_TYPES[param.tensor.datatype][0], param.tensor
    data = np.fromfile(model.graph.raw(tensor), np.dtype(kind.removesuffix("_t"))).tolist()
    name = values.name(kind, tuple(number(value, tensor.datatype) for value in data))
    return _line("PARAM", quoted(param.name), name, quoted(tensor.name), *_form(tensor))


def _form(tensor: Tensor) -> tuple[str, ...]:
    """Return what the lines of all tensors end with: datatype, rank, dimensions and encoding."""
    dims = f"{{{', '.join(map(str, tensor.dims))}}}"
    encoding = _encoding(tensor.quantization) if tensor.quantization else "UNQUANTIZED"
    return _datatype(tensor.datatype), str(len(tensor.dims)), dims, encoding


def _datatype(datatype: int) -> str:
    return qnn.DATATYPES[datatype].removeprefix("QNN_DATATYPE_")


def _encoding(quantization: Quantization) -> str:
    return templates.ENCODINGS[quantization.encoding].format(
        axis=quantization.axis,
        bitwidth=quantization.bitwidth,
        count=len(quantization.scales),
        scale=number(quantization.scales[0], qnn.FLOAT_32),
        offset=quantization.offsets[0],
    )


def _write_functions(out: TextIO, model: Model) -> None:
    halves = [one.size // 2 for one in model.stored.values() if one.is_half]
    nodes, encodings = model.graph.nodes, "nullptr;"
    if model.encodings:
        encodings = f"{_data(model.encodings)};  // sha256 {model.encodings.sha256}"
    chosen = {
        "name": model.name,
        "inputs": _most(node.inputs for node in nodes),
        "params": _most(node.params for node in nodes),
        "outputs": _most(node.outputs for node in nodes),
        "largest": max(halves, default=1),
        "weights": "".join(_weights(model)),
        "encodings": encodings,
    }
    out.write(templates.FUNCTIONS.substitute(chosen))


def _most(lists: Iterable[tuple[Any, ...]]) -> int:
    """Return the length of an array that takes the longest; C has no array of length 0."""
    return max(1, *map(len, lists))


def _weights(model: Model) -> Iterator[str]:
    for call in order.composed(model.graph):
        if isinstance(call, Tensor) and (kept := model.stored.get(call.id)):
            length = f"BINLEN({kept.identifier})"
            yield f"    {{{_data(kept)}, {length}}},  // sha256 {kept.sha256}\n"


def _data(kept: Stored) -> str:
    return f"(uint8_t*)BINVARSTART({kept.identifier})"


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
    """Return a C string literal; a zero in it must not stand before a digit."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("\0", "\\0") + '"'
