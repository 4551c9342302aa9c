"""Rewrites of linear layers, which hold nearly all weights and operations."""

from __future__ import annotations

from onnx import NodeProto, helper

from scripts.stages.rewrites.graph import Array, Graph

# In float16 the HTP multiplies at 3.1 TFLOPS by a 1280 x 5120 matrix, at 4.6 by one of this size.
NARROW_WEIGHTS = 1280 * 1280


def narrow_linears(graph: Graph) -> None:
    """Cut large weight matrices into columns that the memory beside the matrix unit holds twice."""
    for gemm in graph.of_type("Gemm"):
        inputs, outputs = graph.shapes[gemm.input[1]]
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


def _columns(graph: Graph, name: str, index: int, count: int) -> str:
    *rest, width = graph.shapes[name]
    step = width // count

    def cut(values: Array) -> Array:
        return values[..., index * step : (index + 1) * step]

    return graph.derive(f"{name}.part{index}", name, (*rest, step), cut)
