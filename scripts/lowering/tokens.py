"""Rewrites of the token matrix: two dimensions all the way, and full tiles of rows.

Why padding is exact. Let X [tokens, width] be the tokens, and X~ = [X; P] [rows, width] the same
with `rows - tokens` copies of the last register in P.

1. Outside attention every operator works on each row alone: a Gemm, a norm, an activation, a sum,
   a product with the row's line of a rotary table. So the first `tokens` rows stay what they were.
2. In attention a head computes O = softmax(Q K') V from all rows. Padded, Q~ K~' is [rows, rows].
   Its columns after `tokens` are cut off before the softmax, and so are the rows of V~ after
   `tokens`. For i < tokens, O~[i] = softmax(Q[i] K') V = O[i]: no padding takes part.
3. The output is cut to the first `tokens` rows.

By induction over the layers the output is X's. The rows of P see what the last register sees, at
its line of the tables, so they repeat it in every layer. No tensor gets a value that it did not
have before, and calibration finds the same ranges.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from scripts.lowering.fired import DONE, Fired, each
from scripts.lowering.graph import Array, Graph

# The matrix unit takes 16 bit activations in tiles of this many rows, 8 bit ones in half of it.
TILE_ROWS = 16
# From the patch embedding to the tokens, as the exporter writes it.
EMBEDDING = ("Transpose", "Reshape", "Conv")


def flat_linears(graph: Graph) -> Fired:
    """Drop the batch dimension, so that a linear layer with its bias is one Gemm.

        Add(MatMul(X, W), b) -> Gemm(X, W, b)

    X is [1, tokens, inputs] and becomes [tokens, inputs]; W is [inputs, outputs], b [outputs].
    Exact, because a batch of one is one matrix: only shapes change, and a Gemm adds b to each row.
    """
    joined = joined_tokens(graph)
    if joined is None or len(graph.shapes[joined.output[0]]) != 3:
        return Fired.not_at_all("no Concat of constant tokens and patches [1, tokens, width]")
    convolved = _convolved(graph, joined.input[-1])
    if convolved is None:
        return Fired.not_at_all("the patches do not come from a Conv, a Reshape and a Transpose")
    if graph.of_type("Gemm") or len(graph.of_type("Conv")) > 1:
        return Fired.not_at_all("a linear layer is a Gemm or a Conv, not a MatMul")
    _flat_merges(graph)
    _flat_embeddings(graph, joined, convolved)
    _unflat_output(graph)
    graph.tidy()
    producers = graph.producers()

    def join(add: NodeProto) -> str:
        product, bias = producers[add.input[0]], add.input[1]
        if bias not in graph.constants:
            return "what is added to the product is not a constant"
        if len(graph.shapes[product.output[0]]) != 2:
            return "the product is not a matrix"
        inputs = [*product.input, bias]
        graph.replace(add, [helper.make_node("Gemm", inputs, add.output, add.name)])
        return DONE

    sums = (add for add in graph.of_type("Add") if _is_product(producers, add.input[0]))
    return each(sums, join, "no Add follows a MatMul")


def pad_tokens(graph: Graph) -> Fired:
    """Repeat the last register until the rows fill tiles; padding is masked out of attention.

        X -> Concat(X, P); Softmax(S) -> Softmax(Slice(S)); MatMul(A, V) -> MatMul(A, Slice(V))

    X is [tokens, width], P [rows - tokens, width], S [1, heads, rows, rows] cut to `tokens`
    columns, V [1, heads, rows, size] cut to `tokens` rows, the output to `tokens` rows. Outputs
    of CLS or of the patches are cut out of the tokens already, from the front. Exact, because all
    else works on each row alone; the derivation is at the head of this module.
    """
    joined = joined_tokens(graph)
    if joined is None or len(graph.shapes[joined.output[0]]) != 2:
        return Fired.not_at_all("no Concat of constant tokens and patches [tokens, width]")
    tokens = graph.shapes[joined.output[0]][0]
    rows = -(-tokens // TILE_ROWS) * TILE_ROWS
    if rows == tokens:
        return Fired.not_at_all(f"{tokens} tokens fill tiles of {TILE_ROWS} rows already")
    _append(graph, joined, rows - tokens)
    for node in graph.of_type("Mul"):
        table = node.input[1]
        if table in graph.constants and graph.shapes[table][:-1] == (tokens,):
            node.input[1] = _repeated(graph, table, rows - tokens)
    ends = {value.name for value in graph.outputs}
    whole, cut_out = [], _cut_out(graph)
    for node in graph.of_type("Reshape"):
        shape = graph.shapes[node.output[0]]
        if node.output[0] in cut_out:
            continue
        if node.output[0] in ends:
            whole.append(node)
        else:
            node.input[1] = graph.integers(*(rows if size == tokens else size for size in shape))
    for softmax in graph.of_type("Softmax"):
        _mask_after(graph, softmax, tokens)
    for node in whole:
        node.input[0] = _first_rows(graph, node, node.input[0], tokens)
    return Fired(1)


def joined_tokens(graph: Graph) -> NodeProto | None:
    """Return the Concat of the first tokens, which are constants, and the patches."""
    joins = graph.of_type("Concat")
    return next((node for node in joins if node.input[0] in graph.constants), None)


def _is_product(producers: dict[str, NodeProto], name: str) -> bool:
    return name in producers and producers[name].op_type == "MatMul"


def _convolved(graph: Graph, patches: str) -> str | None:
    """Return the output of the patch embedding's Conv, [1, width, rows, columns]."""
    producers, name, output = graph.producers(), patches, ""
    for operator in EMBEDDING:
        node = producers.get(name)
        if node is None or node.op_type != operator:
            return None
        name, output = node.input[0], node.output[0]
    return output


def _flat_embeddings(graph: Graph, joined: NodeProto, convolved: str) -> None:
    """Join the tokens as rows; the Transpose that is left meets the HTP's own channel order."""
    *parts, _ = joined.input
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
    """Give the output of all tokens its batch dimension again; the others come from a Reshape."""
    for value in graph.outputs:
        name = value.name
        node = graph.producers()[name]
        if node.op_type == "Reshape" or len(graph.shapes[name]) != 3:
            continue
        rows = f"{name}.rows"
        graph.substitute(name, rows)
        node.output[0] = rows
        shape = graph.integers(*graph.shapes[name])
        graph.nodes.append(helper.make_node("Reshape", [rows, shape], [name], name))


def _cut_out(graph: Graph) -> set[str]:
    """Return all that is computed of rows cut out of the tokens: no padding reaches it."""
    names: set[str] = set()
    for node in graph.nodes:
        is_cut = node.op_type == "Slice" and graph.value(node.input[3]).tolist() == [-2]
        if is_cut or names.intersection(node.input):
            names.update(node.output)
    return names


def _without_batch(graph: Graph, name: str) -> str:
    shape = graph.shapes[name][1:]
    return graph.derive(f"{name}.rows", name, shape, lambda values: values[0])


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


def _mask_after(graph: Graph, softmax: NodeProto, tokens: int) -> None:
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
