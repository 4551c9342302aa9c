"""Rewrites of the token matrix: two dimensions all the way, and as many rows as tiles want."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from scripts.lowering.graph import Array, Graph

# The matrix unit takes 16 bit activations in tiles of this many rows, 8 bit ones in half of it.
TILE_ROWS = 16


def flat_linears(graph: Graph) -> None:
    """Drop the batch dimension, so that a linear layer with its bias is one Gemm."""
    _flat_merges(graph)
    _flat_embeddings(graph)
    _unflat_output(graph)
    graph.tidy()
    producers = graph.producers()
    for add in graph.of_type("Add"):
        inner, bias = producers.get(add.input[0]), add.input[1]
        if bias in graph.constants and inner and inner.op_type == "MatMul":
            inputs = [*inner.input, bias]
            graph.replace(add, [helper.make_node("Gemm", inputs, add.output, add.name)])


def pad_tokens(graph: Graph) -> None:
    """Repeat the last register until the rows fill tiles; nobody attends to the repetitions."""
    tokens = graph.shapes[graph.output.name][1]
    rows = -(-tokens // TILE_ROWS) * TILE_ROWS
    if rows == tokens:
        return
    _append(graph, _joined_tokens(graph), rows - tokens)
    for node in graph.of_type("Mul"):
        table = node.input[1]
        if table in graph.constants and graph.shapes[table][:-1] == (tokens,):
            node.input[1] = _repeated(graph, table, rows - tokens)
    *inner, last = graph.of_type("Reshape")
    for node in inner:
        shape = graph.shapes[node.output[0]]
        node.input[1] = graph.integers(*(rows if size == tokens else size for size in shape))
    for softmax in graph.of_type("Softmax"):
        _ignore_after(graph, softmax, tokens)
    last.input[0] = _first_rows(graph, last, last.input[0], tokens)


def _flat_embeddings(graph: Graph) -> None:
    """Join the tokens as rows; the Transpose that is left meets the HTP's own channel order."""
    joined = _joined_tokens(graph)
    producers = graph.producers()
    *parts, patches = joined.input
    convolved = producers[producers[producers[patches].input[0]].input[0]].output[0]
    _, channels, height, width = graph.shapes[convolved]
    last, rows = f"{joined.output[0]}.channels_last", f"{joined.output[0]}.patches"
    flat = [_without_batch(graph, name) for name in parts]
    to = graph.integers(height * width, channels)
    graph.replace(
        joined,
        [
            helper.make_node("Transpose", [convolved], [last], last, perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [last, to], [rows], rows),
            helper.make_node("Concat", [*flat, rows], joined.output, joined.name, axis=0),
        ],
    )


def _flat_merges(graph: Graph) -> None:
    for node in graph.of_type("Reshape"):
        shape = graph.shapes[node.output[0]]
        if len(graph.shapes[node.input[0]]) == 4 and len(shape) == 3 and shape[0] == 1:
            node.input[1] = graph.integers(*shape[1:])


def _unflat_output(graph: Graph) -> None:
    name = graph.output.name
    node = graph.producers()[name]
    node.output[0] = f"{name}.rows"
    shape = graph.integers(*graph.shapes[name])
    graph.nodes.append(helper.make_node("Reshape", [node.output[0], shape], [name], name))


def _without_batch(graph: Graph, name: str) -> str:
    shape = graph.shapes[name][1:]
    return graph.derive(f"{name}.rows", name, shape, lambda values: values[0])


def _joined_tokens(graph: Graph) -> NodeProto:
    """Return the Concat of the prefix tokens, which are constants, and the patches."""
    return next(node for node in graph.of_type("Concat") if node.input[0] in graph.constants)


def _append(graph: Graph, joined: NodeProto, count: int) -> None:
    source = joined.input[-2]

    def last_row(values: Array) -> Array:
        return np.repeat(values[-1:], count, axis=0)

    shape = (count, graph.shapes[source][1])
    joined.input.append(graph.derive(f"{source}.repeated", source, shape, last_row))


def _repeated(graph: Graph, table: str, count: int) -> str:
    """Append to a rotary table what it does to the last register: its first row."""
    values = graph.value(table)
    rows = np.repeat(values[:1], count, axis=0)
    return graph.add_constant(f"{table}.padded", np.concatenate([values, rows]))


def _ignore_after(graph: Graph, softmax: NodeProto, tokens: int) -> None:
    """Cut the scores' columns and the values' rows to the real tokens.

    Cutting keys instead costs the HTP more.
    """
    weighted = graph.users(softmax.output[0])[0]
    name = f"{softmax.input[0]}.real"
    cut = [softmax.input[0], *_range(graph, tokens, -1)]
    graph.insert_before(softmax, helper.make_node("Slice", cut, [name], name))
    softmax.input[0] = name
    weighted.input[1] = _first_rows(graph, weighted, weighted.input[1], tokens)


def _first_rows(graph: Graph, user: NodeProto, source: str, count: int) -> str:
    name = f"{source}.real"
    cut = [source, *_range(graph, count, -2)]
    graph.insert_before(user, helper.make_node("Slice", cut, [name], name))
    return name


def _range(graph: Graph, stop: int, axis: int) -> list[str]:
    return [graph.integers(0), graph.integers(stop), graph.integers(axis)]
