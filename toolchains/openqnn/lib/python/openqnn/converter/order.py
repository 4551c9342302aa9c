"""The order in which a model lists what a graph is made of."""

from __future__ import annotations

from collections.abc import Iterator

from openqnn import qnn
from openqnn.converter.record import Graph, Node, Tensor, TensorParam


def composed(graph: Graph) -> Iterator[Tensor | Node]:
    """Yield what a model adds by itself: nodes, inputs and weights.

    The other tensors come with their nodes: outputs and parameters.
    """
    weights = {tensor.id for tensor in graph.weights}
    for call in graph.calls:
        if isinstance(call, Node) or call.type == qnn.APP_WRITE or call.id in weights:
            yield call


def tensors(graph: Graph) -> Iterator[Tensor]:
    """Yield each tensor where its line stands: a node's parameters and outputs before the node."""
    for call in composed(graph):
        if isinstance(call, Tensor):
            yield call
        else:
            yield from (param.tensor for param in call.params if isinstance(param, TensorParam))
            yield from call.outputs
