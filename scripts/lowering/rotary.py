"""Rewrites of the rotary embedding, x * cos + rotate_half(x) * sin over the patches only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from scripts.errors import ConversionError
from scripts.lowering.graph import Array, Graph

SUM = "rope.sum"


@dataclass(frozen=True)
class Rotary:
    """One rotary embedding: `add` = `x` * `cos` + `rotated` * `sin`, tables [tokens, head size]."""

    add: NodeProto
    x: str
    cosine: NodeProto
    sine: NodeProto
    rotated: NodeProto

    @property
    def tables(self) -> tuple[str, str]:
        """Return the names of the cosines and sines."""
        return self.cosine.input[1], self.sine.input[1]


def rotaries(graph: Graph) -> Iterator[Rotary]:
    """Yield every rotary embedding in the form that the exporter gives it."""
    producers = graph.producers()
    for add in graph.of_type("Add"):
        cosine, sine = (producers.get(name) for name in add.input)
        if not cosine or not sine or (cosine.op_type, sine.op_type) != ("Mul", "Mul"):
            continue
        rotated = producers.get(sine.input[0])
        if rotated and rotated.op_type == "Concat" and sine.input[1] in graph.constants:
            yield Rotary(add, cosine.input[0], cosine, sine, rotated)


def whole_rotary(graph: Graph) -> None:
    """Rotate all tokens, those before the patches by nothing: no Split and no Concat of tokens."""
    producers = graph.producers()
    for one in rotaries(graph):
        split = producers[one.x]
        if split.op_type != "Split":
            continue
        count = graph.shapes[split.output[0]][-2]
        cos, sin = one.tables
        one.cosine.input[1] = _extended(graph, cos, count, np.ones)
        one.sine.input[1] = _extended(graph, sin, count, np.zeros)
        joined = graph.users(one.add.output[0])[0]
        graph.substitute(one.x, split.input[0])
        graph.substitute(joined.output[0], one.add.output[0])


def signed_rotary(graph: Graph) -> None:
    """Swap halves and let the sines carry the sign: no negation, no slices."""
    for one in rotaries(graph):
        sines = graph.value(one.tables[1])
        half = sines.shape[-1] // 2
        signed = np.concatenate([-sines[:, :half], sines[:, half:]], axis=1)
        one.sine.input[1] = graph.add_constant(f"{one.tables[1]}.signed", signed)
        name = one.rotated.output[0]
        parts = [f"{name}.first", f"{name}.second"]
        sizes = graph.integers(half, half)
        graph.replace(
            one.rotated,
            [
                helper.make_node("Split", [one.x, sizes], parts, f"{name}.halves", axis=-1),
                helper.make_node("Concat", parts[::-1], [name], name, axis=-1),
            ],
        )


def summed_rotary(graph: Graph) -> None:
    """Let one matrix rotate halves and add: [x * cos, x * sin] @ [identity; rotation].

    A sum of two 16-bit tensors is what the HTP is slowest at.
    """
    for one in rotaries(graph):
        sines = graph.value(one.tables[1])
        size = sines.shape[-1]
        if not np.array_equal(sines[:, : size // 2], sines[:, size // 2 :]):
            raise ConversionError("The halves of the rotary sines differ: no DINOv3 table.")
        matrix = graph.add_constant(
            SUM, np.vstack([np.eye(size, dtype=np.float32), rotation(size)])
        )
        pair = f"{one.add.output[0]}.pair"
        one.sine.input[0] = one.x
        graph.replace(
            one.add,
            [
                helper.make_node("Concat", list(one.add.input), [pair], pair, axis=-1),
                helper.make_node("MatMul", [pair, matrix], one.add.output, one.add.name),
            ],
        )


def rotation(size: int) -> Array:
    """Return the matrix R [size, size] with x @ R = [-second half of x, first half of x]."""
    half = np.eye(size // 2, dtype=np.float32)
    none = np.zeros_like(half)
    return np.block([[none, half], [-half, none]])


def _extended(graph: Graph, table: str, count: int, fill: Callable[..., Array]) -> str:
    """Put `count` rows of ones or zeros before a table."""
    values = graph.value(table)
    rows = fill((count, values.shape[1]), values.dtype)
    return graph.add_constant(f"{table}.whole", np.concatenate([rows, values]))
