"""Rewrites of linear layers, which hold nearly all weights and operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import NodeProto, helper

from scripts.lowering.graph import Array, Graph, attribute

# In float16 the HTP multiplies at 3.1 TFLOPS by a 1280 x 5120 matrix, at 4.6 by one of 1280 x 1280.
# One of 768 x 3072, ViT-B's, is better left whole.
LARGE_WEIGHTS, NARROW_WEIGHTS = 2_400_000, 1280 * 1280
# A tile of a float16 product takes the matrix unit 17 cycles of up to 448 inputs, 18 of 960, but 21
# of 1280; a sum of two products pays for the larger rest alone.
FEW_INPUTS, MANY_INPUTS, MOST_INPUTS = 448, 960, 1536
# Of 960 inputs and this many tokens it takes 14; what is over comes cheap, its weights being there.
FAST_TOKENS = 136


def group_heads(graph: Graph) -> None:
    """Multiply heads in groups by their rows of the output weights: no wait for the last head."""
    _group(graph, lambda inputs: -(-inputs // FEW_INPUTS))


def halve_heads(graph: Graph) -> None:
    """Multiply two halves of the heads by their rows of the output weights, as `group_heads`."""
    _group(graph, lambda inputs: 2)


def sum_inputs(graph: Graph) -> None:
    """Cut the inputs of widening layers that are a few too many for the matrix unit, and add."""
    for gemm in graph.of_type("Gemm"):
        inputs, outputs = graph.shapes[gemm.input[1]]
        if MANY_INPUTS < inputs < min(MOST_INPUTS, outputs):
            sizes = [MANY_INPUTS, inputs - MANY_INPUTS]
            parts = [f"{gemm.input[0]}.inputs{index}" for index in range(len(sizes))]
            made = _cut_once(graph, gemm.input[0], parts, sizes, axis=-1)
            graph.replace(gemm, [*made, *_sum(graph, gemm, parts, sizes)])


def split_tokens(graph: Graph) -> None:
    """Multiply as many tokens at once as the matrix unit is fastest at, then the rest."""
    for gemm in graph.of_type("Gemm"):
        tokens, inputs = graph.shapes[gemm.input[0]]
        if inputs == MANY_INPUTS and FAST_TOKENS < tokens < 2 * FAST_TOKENS:
            sizes = [FAST_TOKENS, tokens - FAST_TOKENS]
            parts = [f"{gemm.input[0]}.tokens{index}" for index in range(len(sizes))]
            made = _cut_once(graph, gemm.input[0], parts, sizes, axis=0)
            products = [f"{gemm.output[0]}.tokens{index}" for index in range(len(sizes))]
            for part, product in zip(parts, products, strict=True):
                made.append(helper.make_node("Gemm", [part, *gemm.input[1:]], [product], product))
            made.append(helper.make_node("Concat", products, gemm.output, gemm.name, axis=0))
            graph.replace(gemm, made)


def narrow_linears(graph: Graph) -> None:
    """Cut large weight matrices into columns that the memory beside the matrix unit holds twice."""
    for gemm in graph.of_type("Gemm"):
        inputs, outputs = graph.shapes[gemm.input[1]]
        if inputs * outputs <= LARGE_WEIGHTS:
            continue
        count = 1
        while inputs * outputs > count * NARROW_WEIGHTS and outputs % (2 * count) == 0:
            count *= 2
        if count > 1:
            graph.replace(gemm, _cut(graph, gemm, count))


def _cut(graph: Graph, gemm: NodeProto, count: int) -> list[NodeProto]:
    source, weight, *bias = gemm.input
    parts, made = [f"{gemm.output[0]}.part{index}" for index in range(count)], []
    for index, part in enumerate(parts):
        own = [_columns(graph, name, index, count) for name in (weight, *bias)]
        made.append(helper.make_node("Gemm", [source, *own], [part], part))
    return [*made, helper.make_node("Concat", parts, gemm.output, gemm.name, axis=-1)]


def _cut_once(
    graph: Graph, source: str, parts: Sequence[str], sizes: Sequence[int], axis: int
) -> list[NodeProto]:
    """Return the Split of a tensor, unless another reader has brought it."""
    if parts[0] in graph.producers():
        return []
    cut = [source, graph.integers(*sizes)]
    return [helper.make_node("Split", cut, parts, f"{parts[0]}.cut", axis=axis)]


def _group(graph: Graph, count: Callable[[int], int]) -> None:
    """Sum over groups of joined heads instead of joining all; `count` is that of the groups."""
    producers = graph.producers()
    for gemm in graph.of_type("Gemm"):
        joined = producers.get(gemm.input[0])
        if joined is None or joined.op_type != "Concat" or attribute(joined, "axis") != -1:
            continue
        inputs = graph.shapes[joined.output[0]][-1]
        groups = np.array_split(list(joined.input), count(inputs))
        if len(groups) > 1:
            graph.replace(gemm, _grouped(graph, gemm, [list(map(str, one)) for one in groups]))


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
    made, total, start = [], "", 0
    for index, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        rows = _rows(graph, weight, start, size)
        start += size
        product = f"{gemm.output[0]}.product{index}"
        inputs = [part, rows, *(bias if not index else [])]
        made.append(helper.make_node("Gemm", inputs, [product], product))
        if total:
            name = gemm.output[0] if start == sum(sizes) else f"{product}.sum"
            made.append(helper.make_node("Add", [total, product], [name], f"{product}.sum"))
            product = name
        total = product
    return made


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
