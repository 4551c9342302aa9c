"""Rewrites that move factors into the weights before them: less to compute, nothing to add."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto

from scripts.errors import ConversionError
from scripts.lowering.graph import Array, Graph


@dataclass(frozen=True)
class Linear:
    """A linear layer: `output` = x @ `weight` [inputs, outputs] + `bias` (empty: none)."""

    output: str
    weight: str
    bias: str

    def scale(self, graph: Graph, factors: Array) -> None:
        """Multiply the outputs by factors, one an output or one for all."""
        for name in filter(None, (self.weight, self.bias)):
            graph.scale(name, factors)


def linear_of(graph: Graph, producers: dict[str, NodeProto], output: str) -> Linear | None:
    """Return the MatMul, with the Add after it if there is one, that makes a tensor."""
    node = producers.get(output)
    if node is None:
        return None
    if node.op_type == "Add":
        inner, bias = node.input
        found = linear_of(graph, producers, inner) if len(graph.shapes[bias]) == 1 else None
        return Linear(output, found.weight, bias) if found and not found.bias else None
    if node.op_type == "MatMul" and len(graph.shapes[node.input[1]]) == 2:
        return Linear(output, node.input[1], "") if node.input[1] in graph.constants else None
    return None


def fold_layer_scale(graph: Graph) -> None:
    """Multiply LayerScale into the weight and bias of the layer that it scales."""
    producers = graph.producers()
    for node in graph.of_type("Mul"):
        inner, factors = node.input
        if factors not in graph.constants or len(graph.shapes[factors]) != 1:
            continue
        if found := linear_of(graph, producers, inner):
            found.scale(graph, graph.value(factors))
            graph.substitute(node.output[0], inner)


def fold_attention_scale(graph: Graph) -> None:
    """Multiply the scale of the attention scores into the query's weight and bias."""
    producers = graph.producers()
    for softmax in graph.of_type("Softmax"):
        scaled = producers[softmax.input[0]]
        if scaled.op_type != "Mul":
            continue
        scores, factor = scaled.input
        query = _first_linear(graph, producers, producers[scores].input[0])
        query.scale(graph, graph.value(factor))
        graph.substitute(scaled.output[0], scores)


def _first_linear(graph: Graph, producers: dict[str, NodeProto], tensor: str) -> Linear:
    """Follow first inputs upwards to a linear layer: all that lies between is linear too."""
    while not (found := linear_of(graph, producers, tensor)):
        if tensor not in producers:
            raise ConversionError(f"The attention scores come from {tensor!r}, no linear layer.")
        tensor = producers[tensor].input[0]
    return found
