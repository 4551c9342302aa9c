"""Rewrites that move factors into the weights before them: less to compute."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto

from scripts.lowering.fired import DONE, Fired, each
from scripts.lowering.graph import Array, Graph

# Operators between a query's linear layer and the scores that a common factor passes through.
# An Add and a Concat are those of the rotary embedding, whose operands all come from the query.
HOMOGENEOUS = ("Add", "Concat", "Mul", "Neg", "Reshape", "Slice", "Split", "Transpose")


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
    """Return the MatMul, with the Add after it if there is one, that computes a tensor."""
    node = producers.get(output)
    if node is None:
        return None
    if node.op_type == "Add":
        product, bias = node.input
        if len(graph.shapes[bias]) != 1 or bias not in graph.constants:
            return None
        linear = linear_of(graph, producers, product)
        return Linear(output, linear.weight, bias) if linear and not linear.bias else None
    if node.op_type == "MatMul" and len(graph.shapes[node.input[1]]) == 2:
        return Linear(output, node.input[1], "") if node.input[1] in graph.constants else None
    return None


def fold_layer_scale(graph: Graph) -> Fired:
    """Multiply LayerScale into the weight and bias of the layer that it scales.

        Mul(Add(MatMul(X, W), b), s) -> Add(MatMul(X, W * s), b * s)

    X is [..., inputs], W [inputs, outputs], b and s [outputs]. Exact, because column j of the
    output is multiplied by s[j], and only column j of W and of b contributes to it:
    (X W + b) diag(s) = X (W diag(s)) + b diag(s).
    """
    producers = graph.producers()

    def fold(node: NodeProto) -> str:
        unscaled, factors = node.input
        linear = linear_of(graph, producers, unscaled)
        if linear is None:
            return "the scaled tensor is not the output of a linear layer"
        if len(graph.users(unscaled)) > 1:
            return "the unscaled output has other readers"
        linear.scale(graph, graph.value(factors))
        graph.substitute(node.output[0], unscaled)
        return DONE

    scaled = (
        node
        for node in graph.of_type("Mul")
        if node.input[1] in graph.constants and len(graph.shapes[node.input[1]]) == 1
    )
    return each(scaled, fold, "no tensor is multiplied by a constant vector")


def fold_attention_scale(graph: Graph) -> Fired:
    """Multiply the scale of the attention scores into the query's weight and bias.

        Softmax(Mul(MatMul(Q, K'), c)) -> Softmax(MatMul(c * Q, K'))

    Q = X W + b, reshaped, transposed and rotated, is [1, heads, tokens, size], K' the transposed
    keys [1, heads, size, tokens], c a scalar. Exact, because each of those steps is linear in Q:
    a factor of the scores is a factor of Q, and so of W and b.
    """
    producers = graph.producers()

    def fold(softmax: NodeProto) -> str:
        scaled = producers.get(softmax.input[0])
        if scaled is None or scaled.op_type != "Mul" or scaled.input[1] not in graph.constants:
            return "the scores are not multiplied by a constant"
        scores, factor = scaled.input
        product = producers.get(scores)
        if product is None or product.op_type != "MatMul":
            return "the scores are not the product of queries and keys"
        query = _first_linear(graph, producers, product.input[0])
        if query is None:
            return "the queries do not come from a linear layer"
        query.scale(graph, graph.value(factor))
        graph.substitute(scaled.output[0], scores)
        return DONE

    return each(graph.of_type("Softmax"), fold, "the network has no Softmax")


def _first_linear(graph: Graph, producers: dict[str, NodeProto], tensor: str) -> Linear | None:
    """Follow first inputs upwards to a linear layer, through operators that keep a factor."""
    while not (linear := linear_of(graph, producers, tensor)):
        node = producers.get(tensor)
        if node is None or node.op_type not in HOMOGENEOUS:
            return None
        tensor = node.input[0]
    return linear
