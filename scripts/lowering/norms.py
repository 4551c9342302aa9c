"""The rewrite of LayerNorm: an RMSNorm of a residual stream whose mean is nought.

The mean of a sum is the sum of the means. So where every writer to the stream takes its own mean
out of its weights, once, no LayerNorm has one to take out (arXiv 2401.15024, section 3.2).
"""

from __future__ import annotations

from onnx import NodeProto, helper

from scripts.errors import ConversionError
from scripts.lowering.graph import Array, Constant, Graph, attribute

# The first opset with RMSNormalization, and the first file format that may hold it.
OPSET, IR_VERSION = 23, 11


def rms_norms(graph: Graph) -> None:
    """Centre the residual stream, so that RMSNorm does for LayerNorm; shifts go into biases."""
    *inner, last = graph.of_type("LayerNormalization")
    producers = graph.producers()
    _centre(graph, producers, last.input[0], set())
    for node in inner:
        _shift_readers(graph, node)
        made = helper.make_node(
            "RMSNormalization",
            node.input[:2],
            node.output,
            node.name,
            axis=-1,
            epsilon=attribute(node, "epsilon"),
        )
        graph.replace(node, [made])
    graph.require(OPSET, IR_VERSION)


def _centre(graph: Graph, producers: dict[str, NodeProto], name: str, done: set[str]) -> None:
    """Take the mean over channels out of all that a tensor is a sum of."""
    if name in done:
        return
    done.add(name)
    node = producers.get(name)
    if node is None:
        _take_mean(graph, name, -1)
    elif node.op_type in ("Add", "Concat"):
        for inner in node.input:
            _centre(graph, producers, inner, done)
    elif node.op_type in ("Reshape", "Transpose"):
        _centre(graph, producers, node.input[0], done)
    elif node.op_type in ("Gemm", "MatMul", "Conv"):
        for index, constant in enumerate(node.input[1:]):
            _take_mean(graph, constant, 0 if node.op_type == "Conv" and index == 0 else -1)
    else:
        raise ConversionError(f"{node.op_type} {name!r} writes to the residual stream.")


def _take_mean(graph: Graph, name: str, axis: int) -> None:
    if name not in graph.constants:
        raise ConversionError(f"{name!r} is written to the residual stream and no constant.")

    def centred(values: Array) -> Array:
        return values - values.mean(axis=axis, keepdims=True, dtype="f8").astype(values.dtype)

    graph.derive(name, name, graph.shapes[name], centred)


def _shift_readers(graph: Graph, norm: NodeProto) -> None:
    """Move what a LayerNorm adds into the biases of the linear layers that read it."""
    shift = graph.constants[norm.input[2]]
    for node in graph.users(norm.output[0]):
        if node.op_type not in ("Gemm", "MatMul"):
            raise ConversionError(f"{node.op_type} {node.output[0]!r} reads a LayerNorm.")
        weight = graph.constants[node.input[1]]
        bias = graph.constants[node.input[2]] if len(node.input) > 2 else None
        name = f"{node.input[1]}.shift"
        graph.constants[name] = _shifted(shift, weight, bias)
        inputs = [*node.input[:2], name]
        graph.replace(node, [helper.make_node("Gemm", inputs, node.output, node.name)])


def _shifted(shift: Constant, weight: Constant, bias: Constant | None) -> Constant:
    def read() -> Array:
        # No BLAS: its order of summation, and so the last bit, depends on the processor.
        moved = (shift.read().astype("f8")[:, None] * weight.read()).sum(axis=0)
        return (moved + (bias.read() if bias else 0)).astype(weight.dtype)

    return Constant(weight.shape[1:], weight.dtype, read)
