"""Rewrites of linear layers, which hold nearly all weights and operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import NodeProto, helper

from scripts.lowering.fired import DONE, Fired, each
from scripts.lowering.graph import Array, Graph, attribute

# In float16 the HTP multiplies at 3.1 TFLOPS by a 1280 x 5120 matrix, at 4.6 by one of 1280 x 1280.
# One of 768 x 3072, ViT-B's, is better left whole.
LARGE_WEIGHTS, NARROW_WEIGHTS = 2_400_000, 1280 * 1280
# A tile of a float16 product takes the matrix unit 17 cycles of up to 448 inputs, 18 of 960, but 21
# of 1280; a sum of two products pays for the larger rest alone.
FEW_INPUTS, MANY_INPUTS, MOST_INPUTS = 448, 960, 1536
# Of 960 inputs and this many tokens it takes 14; what is over comes cheap, its weights being there.
FAST_TOKENS = 136
NO_GEMM = "the network has no Gemm without attributes"


def group_heads(graph: Graph) -> Fired:
    """Multiply heads in groups by their rows of the output weights: no wait for the last head.

        Gemm(Concat(H_1, ..., H_n), W, b) -> Gemm(Concat(H_1, ..., H_k), W[:r], b) + ...

    H_h is [tokens, size], W [n * size, outputs], b [outputs]; a group of k heads takes its
    r = k * size rows of W, and there are as many groups as `FEW_INPUTS` columns need. Exact up to
    the order of the sum: a product of blocks is the sum of the blocks' products.
    """
    return _group(graph, lambda inputs: -(-inputs // FEW_INPUTS))


def halve_heads(graph: Graph) -> Fired:
    """Multiply two halves of the heads by their rows of the output weights, as `group_heads`.

        Gemm(Concat(H_1, ..., H_n), W, b)
            -> Gemm(Concat(H_1, ..., H_n/2), W[:r], b) + Gemm(Concat(H_n/2+1, ..., H_n), W[r:])

    H_h is [tokens, size], W [n * size, outputs], b [outputs], r = n / 2 * size. Exact up to the
    order of the sum, as `group_heads`.
    """
    return _group(graph, lambda inputs: 2)


def sum_inputs(graph: Graph) -> Fired:
    """Cut the inputs of widening layers that are a few too many for the matrix unit, and add.

        Gemm(X, W, b) -> Gemm(X[:, :960], W[:960], b) + Gemm(X[:, 960:], W[960:])

    X is [tokens, inputs], W [inputs, outputs] with 960 < inputs < 1536 and inputs < outputs,
    b [outputs]. Exact up to the order of the sum over the inputs.
    """

    def cut(gemm: NodeProto) -> str:
        inputs, outputs = graph.shapes[gemm.input[1]]
        if not MANY_INPUTS < inputs < min(MOST_INPUTS, outputs):
            return f"it does not widen {MANY_INPUTS + 1} to {MOST_INPUTS - 1} inputs"
        sizes = [MANY_INPUTS, inputs - MANY_INPUTS]
        parts = [f"{gemm.input[0]}.inputs{index}" for index in range(len(sizes))]
        nodes = _cut_once(graph, gemm.input[0], parts, sizes, axis=-1)
        graph.replace(gemm, [*nodes, *_sum(graph, gemm, parts, sizes)])
        return DONE

    return each(_gemms(graph), cut, NO_GEMM)


def split_tokens(graph: Graph) -> Fired:
    """Multiply as many tokens at once as the matrix unit is fastest at, then the rest.

        Gemm(X, W, b) -> Concat(Gemm(X[:136], W, b), Gemm(X[136:], W, b), axis=0)

    X is [tokens, 960] with 136 < tokens < 272, W [960, outputs], b [outputs]. Exact, because a
    row of the product depends on its own row of X alone.
    """

    def cut(gemm: NodeProto) -> str:
        tokens, inputs = graph.shapes[gemm.input[0]]
        if inputs != MANY_INPUTS or not FAST_TOKENS < tokens < 2 * FAST_TOKENS:
            bounds = f"{FAST_TOKENS + 1} to {2 * FAST_TOKENS - 1}"
            return f"it does not multiply {bounds} tokens of {MANY_INPUTS} inputs"
        sizes = [FAST_TOKENS, tokens - FAST_TOKENS]
        parts = [f"{gemm.input[0]}.tokens{index}" for index in range(len(sizes))]
        nodes = _cut_once(graph, gemm.input[0], parts, sizes, axis=0)
        products = [f"{gemm.output[0]}.tokens{index}" for index in range(len(sizes))]
        for part, product in zip(parts, products, strict=True):
            nodes.append(helper.make_node("Gemm", [part, *gemm.input[1:]], [product], product))
        nodes.append(helper.make_node("Concat", products, gemm.output, gemm.name, axis=0))
        graph.replace(gemm, nodes)
        return DONE

    return each(_gemms(graph), cut, NO_GEMM)


def narrow_linears(graph: Graph) -> Fired:
    """Cut large weight matrices into columns that the memory beside the matrix unit holds twice.

        Gemm(X, W, b) -> Concat(Gemm(X, W_1, b_1), ..., Gemm(X, W_n, b_n), axis=-1)

    X is [tokens, inputs], W [inputs, outputs] with more than 2.4 million numbers, W_i and b_i the
    i-th of n = 2^k equal parts of the columns. Exact, because a column of the product depends on
    its own column of W alone.
    """

    def cut(gemm: NodeProto) -> str:
        inputs, outputs = graph.shapes[gemm.input[1]]
        if inputs * outputs <= LARGE_WEIGHTS:
            return f"its weight has at most {LARGE_WEIGHTS:,} numbers"
        count = 1
        while inputs * outputs > count * NARROW_WEIGHTS and outputs % (2 * count) == 0:
            count *= 2
        if count == 1:
            return "its weight has an odd number of columns"
        graph.replace(gemm, _cut(graph, gemm, count))
        return DONE

    return each(_gemms(graph), cut, NO_GEMM)


def _gemms(graph: Graph) -> list[NodeProto]:
    """Return the Gemms that do not transpose or scale: they have no attributes."""
    return [node for node in graph.of_type("Gemm") if not node.attribute]


def _cut(graph: Graph, gemm: NodeProto, count: int) -> list[NodeProto]:
    source, weight, *bias = gemm.input
    parts, nodes = [f"{gemm.output[0]}.part{index}" for index in range(count)], []
    for index, part in enumerate(parts):
        own = [_columns(graph, name, index, count) for name in (weight, *bias)]
        nodes.append(helper.make_node("Gemm", [source, *own], [part], part))
    return [*nodes, helper.make_node("Concat", parts, gemm.output, gemm.name, axis=-1)]


def _cut_once(
    graph: Graph, source: str, parts: Sequence[str], sizes: Sequence[int], axis: int
) -> list[NodeProto]:
    """Return the Split of a tensor, unless another reader of it is cut already."""
    if parts[0] in graph.producers():
        return []
    cut = [source, graph.integers(*sizes)]
    return [helper.make_node("Split", cut, parts, f"{parts[0]}.cut", axis=axis)]


def _group(graph: Graph, count: Callable[[int], int]) -> Fired:
    """Sum over groups of joined heads instead of joining all; `count` is that of the groups."""
    producers = graph.producers()

    def group(gemm: NodeProto) -> str:
        joined = producers[gemm.input[0]]
        inputs = graph.shapes[joined.output[0]][-1]
        groups = np.array_split(list(joined.input), count(inputs))
        if len(groups) == 1:
            return f"{inputs} inputs are one group"
        graph.replace(gemm, _grouped(graph, gemm, [list(map(str, names)) for names in groups]))
        return DONE

    readers = (gemm for gemm in _gemms(graph) if _joins_heads(producers.get(gemm.input[0])))
    return each(readers, group, "no Gemm reads a Concat of heads")


def _joins_heads(node: NodeProto | None) -> bool:
    return node is not None and node.op_type == "Concat" and attribute(node, "axis") == -1


def _grouped(graph: Graph, gemm: NodeProto, groups: Sequence[Sequence[str]]) -> list[NodeProto]:
    """Return a Gemm of joined tensors as a sum over groups of them."""
    parts = [f"{gemm.output[0]}.group{index}" for index in range(len(groups))]
    joins = [
        helper.make_node("Concat", group, [part], part, axis=-1)
        for group, part in zip(groups, parts, strict=True)
    ]
    sizes = [sum(graph.shapes[name][-1] for name in group) for group in groups]
    return [*joins, *_sum(graph, gemm, parts, sizes)]


def _sum(
    graph: Graph, gemm: NodeProto, parts: Sequence[str], sizes: Sequence[int]
) -> list[NodeProto]:
    """Return a Gemm as the sum of those of parts of its inputs; the bias goes with the first."""
    _, weight, *bias = gemm.input
    nodes, total, start = [], "", 0
    for index, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        rows = _rows(graph, weight, start, size)
        start += size
        product = f"{gemm.output[0]}.product{index}"
        inputs = [part, rows, *(bias if not index else [])]
        nodes.append(helper.make_node("Gemm", inputs, [product], product))
        if total:
            name = gemm.output[0] if start == sum(sizes) else f"{product}.sum"
            nodes.append(helper.make_node("Add", [total, product], [name], f"{product}.sum"))
            product = name
        total = product
    return nodes


def _rows(graph: Graph, name: str, start: int, count: int) -> str:
    def cut(values: Array) -> Array:
        return values[start : start + count]

    return graph.derive(f"{name}.rows{start}", name, (count, graph.shapes[name][1]), cut)


def _columns(graph: Graph, name: str, index: int, count: int) -> str:
    *rest, width = graph.shapes[name]
    step = width // count

    def cut(values: Array) -> Array:
        return values[..., index * step : (index + 1) * step]

    return graph.derive(f"{name}.part{index}", name, (*rest, step), cut)
