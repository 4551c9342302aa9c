"""Rewrites of the rotary embedding, x * cos + rotate(x) * sin, of the patches of one head.

For a row x = [x1, x2] of `size` numbers, halves of size / 2, rotate(x) = [-x2, x1]. That is the
product x R with the matrix R [size, size] = [[0, I], [-I, 0]]. The tables cos and sin are
[patches, size]. Both halves of a row of sin are equal, since each angle turns the pair
(x1[i], x2[i]); so sin commutes with the swap of the halves: rotate(x) * sin = rotate(x * sin).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from scripts.lowering.fired import DONE, Fired, each
from scripts.lowering.graph import Array, Graph

SUM = "rope.sum"
# Tokens in a row of `joined_rotary`. The compiler lays tokens out in 8 rows and multiplies 32
# columns of these at a time; in float16, in its simulation, 8 x 26 take 20 times as long as 8 x 13.
ROWS, LONGEST_ROW = 8, 13
ABSENT = "no rotary embedding of the form x * cos + Concat(-x2, x1) * sin"


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
        if rotated and _is_rotation(producers, rotated) and sine.input[1] in graph.constants:
            yield Rotary(add, cosine.input[0], cosine, sine, rotated)


def whole_rotary(graph: Graph) -> Fired:
    """Rotate all tokens, the first ones by an angle of 0: no Split and no Concat of tokens.

        p, x = Split(t); Concat(p, x * cos + rotate(x) * sin) -> t * cos' + rotate(t) * sin'

    t is [1, heads, tokens, size], p the CLS token and the registers, x the patches. cos' is cos
    below rows of ones, sin' is sin below rows of zeros, [tokens, size]. Exact, because
    p * 1 + rotate(p) * 0 = p.
    """
    producers = graph.producers()

    def extend(rotary: Rotary) -> str:
        split, readers = producers.get(rotary.x), graph.users(rotary.add.output[0])
        if split is None or split.op_type != "Split":
            return "all tokens are rotated already"
        if [node.op_type for node in readers] != ["Concat"]:
            return "the rotated patches are not joined with the first tokens"
        count = graph.shapes[split.output[0]][-2]
        cos, sin = rotary.tables
        rotary.cosine.input[1] = _extended(graph, cos, count, np.ones)
        rotary.sine.input[1] = _extended(graph, sin, count, np.zeros)
        graph.substitute(rotary.x, split.input[0])
        graph.substitute(readers[0].output[0], rotary.add.output[0])
        return DONE

    return each(rotaries(graph), extend, ABSENT)


def signed_rotary(graph: Graph) -> Fired:
    """Swap halves and let the sines carry the sign: no negation, no slices.

        Concat(Neg(x2), x1) * [s, s] -> Concat(x2, x1) * [-s, s]

    x1 and x2 are the halves of x, [..., tokens, size / 2], and s the sines of a half. Exact,
    because (-a) * s = a * (-s): the sign of a product is that of its factors.
    """

    def sign(rotary: Rotary) -> str:
        sines = graph.value(rotary.tables[1])
        half = sines.shape[-1] // 2
        signed = np.concatenate([-sines[:, :half], sines[:, half:]], axis=1)
        rotary.sine.input[1] = graph.add_constant(f"{rotary.tables[1]}.signed", signed)
        name = rotary.rotated.output[0]
        parts = [f"{name}.first", f"{name}.second"]
        sizes = graph.integers(half, half)
        graph.replace(
            rotary.rotated,
            [
                helper.make_node("Split", [rotary.x, sizes], parts, f"{name}.halves", axis=-1),
                helper.make_node("Concat", parts[::-1], [name], name, axis=-1),
            ],
        )
        return DONE

    return each(rotaries(graph), sign, ABSENT)


def joined_rotary(graph: Graph) -> Fired:
    """Rotate all heads at once, their tokens in short rows: products of long rows are slow.

        heads(x) * cos + swap(heads(x)) * sin -> heads(rows(x) * cos' + swap'(rows(x)) * sin')

    x is [tokens, heads * size], the output of a linear layer; heads(x) its Reshape and Transpose to
    [1, heads, tokens, size], and rows(x) its Reshape to [1, tokens / row, row, heads * size]. The
    tables cos' and sin' are cos and sin side by side, once a head, and swap' swaps the halves of
    each head's columns. Exact, because Reshape and Transpose only move numbers, and each is
    multiplied by the same two and added to the same one.
    """
    producers = graph.producers()

    def join(rotary: Rotary) -> str:
        transpose = producers.get(rotary.x)
        reshape = producers.get(transpose.input[0]) if transpose else None
        if transpose is None or reshape is None or reshape.op_type != "Reshape":
            return "what is rotated is not split into heads by a Reshape and a Transpose"
        flat = reshape.input[0]
        if len(graph.shapes[flat]) != 2:
            return "the linear layer's output is not [tokens, heads * size]"
        if graph.shapes[flat][0] <= ROWS * LONGEST_ROW:
            return f"{graph.shapes[flat][0]} tokens are short rows already"
        for node in _joined(graph, rotary, flat):
            graph.insert_before(reshape, node)
        reshape.input[0] = node.output[0]
        graph.substitute(rotary.add.output[0], rotary.x)
        return DONE

    return each(_signed_rotaries(graph), join, "no rotary embedding whose sines carry the sign")


def _joined(graph: Graph, rotary: Rotary, flat: str) -> Iterator[NodeProto]:
    """Yield what rotates all heads of [tokens, heads * size], the last one with the same shape."""
    tokens, width = graph.shapes[flat]
    half = graph.value(rotary.tables[0]).shape[-1] // 2
    row = max(size for size in range(1, LONGEST_ROW + 1) if tokens % size == 0)
    rows, swapped, cosine, sine, both, rotated = (
        f"{flat}.{name}" for name in ("rows", "swapped", "cosine", "sine", "sum", "rotated")
    )
    shape = [1, tokens // row, row, width]
    cosines, sines = (_repeated(graph, table, shape) for table in rotary.tables)
    halves = [f"{rows}.half{place}" for place in range(width // half)]
    order = [name for pair in zip(halves[1::2], halves[::2], strict=True) for name in pair]
    sizes = graph.integers(*[half] * len(halves))
    yield helper.make_node("Reshape", [flat, graph.integers(*shape)], [rows], rows)
    yield helper.make_node("Split", [rows, sizes], halves, f"{rows}.halves", axis=-1)
    yield helper.make_node("Concat", order, [swapped], swapped, axis=-1)
    yield helper.make_node("Mul", [rows, cosines], [cosine], cosine)
    yield helper.make_node("Mul", [swapped, sines], [sine], sine)
    yield helper.make_node("Add", [cosine, sine], [both], both)
    yield helper.make_node("Reshape", [both, graph.integers(tokens, width)], [rotated], rotated)


def _repeated(graph: Graph, table: str, shape: list[int]) -> str:
    """Put a table side by side, once a head, in the shape of what it multiplies."""
    values = graph.value(table)
    every = np.tile(values, shape[-1] // values.shape[-1]).reshape(shape)
    return graph.add_constant(f"{table}.rows", every)


def _signed_rotaries(graph: Graph) -> Iterator[Rotary]:
    """Yield every rotary embedding in the form that `signed_rotary` gives it."""
    producers = graph.producers()
    for add in graph.of_type("Add"):
        cosine, sine = (producers.get(name) for name in add.input)
        if not cosine or not sine or (cosine.op_type, sine.op_type) != ("Mul", "Mul"):
            continue
        swap = producers.get(sine.input[0])
        if swap and _is_swap(producers, swap, cosine.input[0]):
            yield Rotary(add, cosine.input[0], cosine, sine, swap)


def summed_rotary(graph: Graph) -> Fired:
    """Let one matrix rotate halves and add: a sum of two tensors is slow.

        Add(x * cos, rotate(x) * sin) -> MatMul(Concat(x * cos, x * sin), [I; R])

    x is [1, heads, tokens, size], the matrix [2 size, size] with the identity above R. Exact where
    both halves of the sines are equal: then rotate(x) * sin = (x * sin) R, and each column of the
    matrix has one number in I and one in R, both 1 or -1, so each sum has the same two terms.
    """

    def add_up(rotary: Rotary) -> str:
        sines = graph.value(rotary.tables[1])
        size = sines.shape[-1]
        if not np.array_equal(sines[:, : size // 2], sines[:, size // 2 :]):
            return "the halves of the sines differ"
        matrix = graph.add_constant(
            SUM, np.vstack([np.eye(size, dtype=np.float32), rotation(size)])
        )
        pair = f"{rotary.add.output[0]}.pair"
        rotary.sine.input[0] = rotary.x
        products, output = list(rotary.add.input), rotary.add.output
        graph.replace(
            rotary.add,
            [
                helper.make_node("Concat", products, [pair], pair, axis=-1),
                helper.make_node("MatMul", [pair, matrix], output, rotary.add.name),
            ],
        )
        return DONE

    return each(rotaries(graph), add_up, ABSENT)


def rotation(size: int) -> Array:
    """Return the matrix R [size, size] with x @ R = [-second half of x, first half of x]."""
    half = np.eye(size // 2, dtype=np.float32)
    empty = np.zeros_like(half)
    return np.block([[empty, half], [-half, empty]])


def _is_rotation(producers: dict[str, NodeProto], node: NodeProto) -> bool:
    if node.op_type != "Concat" or node.input[0] not in producers:
        return False
    return producers[node.input[0]].op_type == "Neg"


def _is_swap(producers: dict[str, NodeProto], node: NodeProto, source: str) -> bool:
    """Tell whether a node puts the second half of `source` before the first."""
    split = producers.get(node.input[0]) if node.op_type == "Concat" else None
    if split is None or split.op_type != "Split" or split.input[0] != source:
        return False
    return [*node.input] == [*split.output][::-1]


def _extended(graph: Graph, table: str, count: int, fill: Callable[..., Array]) -> str:
    """Put `count` rows of ones or zeros before a table."""
    values = graph.value(table)
    rows = fill((count, values.shape[1]), values.dtype)
    return graph.add_constant(f"{table}.whole", np.concatenate([rows, values]))
