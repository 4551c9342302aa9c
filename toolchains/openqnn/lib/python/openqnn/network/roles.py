"""What operators do with their constants: all that quantisation must know of ONNX.

Everything is told by operator and input position, never by the name of a node or tensor.
"""

from __future__ import annotations

from enum import Enum

from onnx import NodeProto, helper


class Role(Enum):
    """The part a constant plays in an operator."""

    WEIGHT = "weight"  # multiplied in integers: signed, symmetric, one scale an output channel
    BIAS = "bias"  # added to the integer sums: 32 bits, the input's scale times the weight's
    GAIN = "gain"  # multiplies normalised values: 8 bits, whatever the values have
    SHIFT = "shift"  # added to normalised values: 32 bits, a scale of its own
    GRID = "grid"  # the scale or zero point of integers that the network takes
    OPERAND = "operand"  # anything else, treated as an activation that never changes


# What has no encoding of its own.
UNENCODED = (Role.BIAS, Role.GRID)
# Operators whose output is (a part of) their first input: one encoding for both.
MOVERS = {
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
# Operators whose output lies in [0, 1] whatever the pictures.
UNIT_OUTPUT = {"Sigmoid", "Softmax"}
NORMS = {"LayerNormalization", "RMSNormalization"}
MULTIPLIERS = {"Conv", "Gemm", "MatMul"}


def role(node: NodeProto, index: int) -> Role:
    """Return the role of a constant that is input `index` of a node."""
    if node.op_type in MULTIPLIERS and index == 1:
        return Role.WEIGHT
    if node.op_type in ("Conv", "Gemm") and index == 2:
        return Role.BIAS
    if node.op_type == "LayerNormalization" and index > 0:
        return Role.GAIN if index == 1 else Role.SHIFT
    return Role.GRID if node.op_type == "DequantizeLinear" else Role.OPERAND


def output_axis(node: NodeProto, rank: int) -> int:
    """Return the axis of a weight that runs over the node's output channels."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm" and attribute(node, "transB", 0):
        return 0
    return rank - 1


def attribute(node: NodeProto, name: str, default: int) -> int:
    """Return an integer attribute."""
    found = next((one for one in node.attribute if one.name == name), None)
    return default if found is None else int(helper.get_attribute_value(found))
