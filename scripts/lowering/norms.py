"""The rewrite of LayerNorm: an RMSNorm of a residual stream whose mean is zero.

The mean of a sum is the sum of the means. So where every writer to the stream takes its own mean
out of its weights, once, no LayerNorm has one to take out (arXiv 2401.15024, section 3.2).
"""

from __future__ import annotations

from collections import Counter

from onnx import NodeProto, helper

from scripts.lowering.fired import Fired
from scripts.lowering.graph import Array, Constant, Graph, attribute

# The first opset with RMSNormalization, and the first file format that may hold it.
OPSET, IR_VERSION = 23, 11
LINEAR = ("Gemm", "MatMul")


class _Unfit(Exception):
    """The residual stream cannot be centred; the message says why."""


class _Stream:
    """The residual stream: the tensors that are parts of a sum, and the constants they come from.

    `constants` maps each to the axis of its channels: that of an output of a layer, or of a token.
    """

    def __init__(self, graph: Graph, end: str) -> None:
        self._graph, self._producers = graph, graph.producers()
        self.tensors: set[str] = set()
        self.constants: dict[str, int] = {}
        self._follow(end)

    def _follow(self, name: str) -> None:
        if name in self.tensors:
            return
        self.tensors.add(name)
        node = self._producers.get(name)
        if node is None:
            self._add(name, -1)
        elif node.op_type in ("Add", "Concat"):
            for part in node.input:
                self._follow(part)
        elif node.op_type in ("Reshape", "Transpose"):
            self._follow(node.input[0])
        elif node.op_type in (*LINEAR, "Conv"):
            for index, constant in enumerate(node.input[1:]):
                self._add(constant, 0 if node.op_type == "Conv" and index == 0 else -1)
        else:
            raise _Unfit(f"{node.op_type} writes to the residual stream")

    def _add(self, name: str, axis: int) -> None:
        if name not in self._graph.constants:
            raise _Unfit("a tensor that is not a constant is written to the residual stream")
        self.constants[name] = axis


def rms_norms(graph: Graph) -> Fired:
    """Centre the residual stream, so that RMSNorm does for LayerNorm; shifts go into biases.

        Gemm(LayerNormalization(x, g, b), W, c) -> Gemm(RMSNormalization(x, g), W, c + b W)

    x is [tokens, width], g and b [width], W [width, outputs], c [outputs]. What writes to the
    stream, Gemm(X, V, d), becomes Gemm(X, V - mean(V), d - mean(d)), with means over the outputs:
    so each x has the mean 0. Exact, because (x - mean(x)) / sqrt(var(x) + e) does not change when
    a constant is taken from x, and is x / sqrt(mean(x^2) + e) where mean(x) = 0. The last
    LayerNorm stays: its shift is the network's output. So do those of outputs of earlier layers,
    which have its gain and shift.
    """
    norms = graph.of_type("LayerNormalization")
    if len(norms) < 2:
        return Fired.not_at_all("the network has fewer than two LayerNorms")
    last = norms[-1]
    inner = [norm for norm in norms if norm.input[1:] != last.input[1:]]
    try:
        stream = _Stream(graph, last.input[0])
    except _Unfit as reason:
        return Fired.not_at_all(str(reason))
    reasons = {norm.output[0]: _unfit(graph, stream, norm) for norm in inner}
    if any(reasons.values()):
        return Fired(0, Counter(filter(None, reasons.values())))
    for name, axis in stream.constants.items():
        _take_mean(graph, name, axis)
    for norm in inner:
        _shift_readers(graph, norm)
        graph.replace(norm, [_rms_norm(norm)])
    graph.require(OPSET, IR_VERSION)
    return Fired(len(inner))


def _unfit(graph: Graph, stream: _Stream, norm: NodeProto) -> str:
    """Return why a LayerNorm cannot be an RMSNorm; nothing where it can."""
    if norm.input[0] not in stream.tensors:
        return "a LayerNorm reads something besides the residual stream"
    if len(norm.input) < 3:
        return "a LayerNorm has no shift"
    readers = {node.op_type for node in graph.users(norm.output[0])} - set(LINEAR)
    return f"{min(readers)} reads a LayerNorm" if readers else ""


def _rms_norm(norm: NodeProto) -> NodeProto:
    return helper.make_node(
        "RMSNormalization",
        norm.input[:2],
        norm.output,
        norm.name,
        axis=-1,
        epsilon=attribute(norm, "epsilon"),
    )


def _take_mean(graph: Graph, name: str, axis: int) -> None:
    def centred(values: Array) -> Array:
        return values - values.mean(axis=axis, keepdims=True, dtype="f8").astype(values.dtype)

    graph.derive(name, name, graph.shapes[name], centred)


def _shift_readers(graph: Graph, norm: NodeProto) -> None:
    """Move what a LayerNorm adds into the biases of the linear layers that read it."""
    shift = graph.constants[norm.input[2]]
    for node in graph.users(norm.output[0]):
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
