"""The record that the interposed backend library writes of graphs: `calls.jsonl` and raws."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openqnn import qnn
from openqnn.converter import joint


@dataclass(frozen=True)
class Quantization:
    """real = scale * (quantised + offset), for the whole tensor or for each index of `axis`.

    `encoding` is a Qnn_QuantizationEncoding_t; `bitwidth` is 0 where the encoding has none.
    """

    encoding: int
    scales: tuple[float, ...]
    offsets: tuple[int, ...]
    axis: int = 0
    bitwidth: int = 0


@dataclass(frozen=True)
class Tensor:
    """One call of tensorCreateGraphTensor; `size` is in bytes and zero unless it is static."""

    id: int
    name: str
    type: int
    data_format: int
    datatype: int
    dims: tuple[int, ...]
    size: int
    quantization: Quantization | None


@dataclass(frozen=True)
class Scalar:
    """A scalar parameter of a node."""

    name: str
    datatype: int
    value: Any


@dataclass(frozen=True)
class TensorParam:
    """A parameter of a node that is a (small, static) tensor."""

    name: str
    tensor: Tensor


@dataclass(frozen=True)
class Node:
    """One call of graphAddNode."""

    name: str
    package: str
    type: str
    params: tuple[Scalar | TensorParam, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Graph:
    """A recorded graph: `calls` holds tensors and nodes in the order they were created in."""

    calls: tuple[Tensor | Node, ...]
    folder: Path

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, in order."""
        return tuple(call for call in self.calls if isinstance(call, Node))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in order."""
        return tuple(call for call in self.calls if isinstance(call, Tensor))

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The static tensors that are not just a node's parameter, in order."""
        params = {
            p.tensor.id for node in self.nodes for p in node.params if isinstance(p, TensorParam)
        }
        return tuple(t for t in self.tensors if t.type == qnn.STATIC and t.id not in params)

    def raw(self, tensor: Tensor) -> Path:
        """Return the file with the bytes of a static tensor."""
        return self.folder / f"{tensor.id}.raw"


def load(folder: Path) -> Graph:
    """Read a record.

    Raises:
        Refused: a graph of the record does not end, or the graphs of pieces do not fit together.
    """
    lines = joint.joined(list(_lines(folder)), folder)
    return Graph(tuple(_calls(lines)), folder)


def refusals(folder: Path) -> list[str]:
    """Return, in words, which nodes the backend said it cannot run."""
    return [
        f"{line['type']} {line['name']} (error {line['error']})"
        for line in _lines(folder)
        if line["call"] == "refused"
    ]


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / "calls.jsonl"
    if path.is_file():
        with path.open() as stream:
            yield from (json.loads(line) for line in stream)


def _calls(lines: list[dict[str, Any]]) -> Iterator[Tensor | Node]:
    known: dict[int, Tensor] = {}
    for line in lines:
        if line["call"] == "tensor":
            known[line["id"]] = _tensor(line)
            yield known[line["id"]]
        elif line["call"] == "node":
            yield _node(line, known)


def _tensor(line: dict[str, Any]) -> Tensor:
    return Tensor(
        id=line["id"],
        name=line["name"],
        type=line["type"],
        data_format=line["format"],
        datatype=line["dtype"],
        dims=tuple(line["dims"]),
        size=line["bytes"],
        quantization=_quantization(line["quantization"]),
    )


def _quantization(said: dict[str, Any] | None) -> Quantization | None:
    if said is None:
        return None
    value = said["value"]
    return Quantization(
        encoding=said["encoding"],
        scales=tuple(value.get("scales", [value.get("scale")])),
        offsets=tuple(value.get("offsets", [value.get("offset")])),
        axis=value.get("axis", 0),
        bitwidth=value.get("bitwidth", 0),
    )


def _node(line: dict[str, Any], known: dict[int, Tensor]) -> Node:
    return Node(
        name=line["name"],
        package=line["package"],
        type=line["type"],
        params=tuple(_param(param, known) for param in line["params"]),
        inputs=tuple(known[number] for number in line["inputs"]),
        outputs=tuple(known[number] for number in line["outputs"]),
    )


def _param(param: dict[str, Any], known: dict[int, Tensor]) -> Scalar | TensorParam:
    if "tensor" in param:
        return TensorParam(param["name"], known[param["tensor"]])
    return Scalar(param["name"], param["dtype"], param["value"])
