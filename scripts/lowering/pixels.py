"""The rewrite of the input: bytes as a camera gives them; only the size is left to preprocess."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from scripts.errors import ConversionError
from scripts.lowering.fired import Fired
from scripts.lowering.graph import Array, Constant, Graph
from scripts.pictures.preprocess import BRIGHTEST, Preprocessing

ONE, ZERO = "pixels.one", "pixels.zero"


def take_bytes(graph: Graph, how: Preprocessing) -> Fired:
    """Take uint8 [1, height, width, 3], RGB; the patch embedding normalises.

        Conv((x / 255 - mean) / std, W, b)
            -> Conv(Transpose(DequantizeLinear(x, 1, 0)), W / (255 * std), b - sum(W * mean / std))

    x is [1, height, width, 3], W [width, 3, patch, patch], b [width]; mean and std have one number
    a channel, and the sum is over channels and pixels of a patch. Exact to rounding, because the
    patches do not overlap and have no border: each output has the same sum of means. The bytes are
    read as numbers of scale 1, so they are quantised as they are, without loss.

    Raises:
        ConversionError: something other than one convolution with a bias reads the input.
    """
    name = graph.input.name
    readers = graph.users(name)
    if [node.op_type for node in readers] != ["Conv"] or len(readers[0].input) != 3:
        raise ConversionError(f"{name} is not read by a patch embedding with a bias.")
    _, channels, height, width = graph.shapes[name]
    embedding = readers[0]
    _fold(graph, embedding.input[1], embedding.input[2], how)
    numbers, ordered = f"{name}.numbers", f"{name}.channels_first"
    grid = [
        graph.add_constant(ONE, np.array(1, np.float32)),
        graph.add_constant(ZERO, np.array(0, np.uint8)),
    ]
    for node in (
        helper.make_node("DequantizeLinear", [name, *grid], [numbers], numbers),
        helper.make_node("Transpose", [numbers], [ordered], ordered, perm=[0, 3, 1, 2]),
    ):
        graph.insert_before(embedding, node)
    embedding.input[0] = ordered
    shape = [1, height, width, channels]
    graph.input = helper.make_tensor_value_info(name, TensorProto.UINT8, shape)
    return Fired(1)


def _fold(graph: Graph, weight: str, bias: str, how: Preprocessing) -> None:
    """Let the embedding compute from a byte what it computed from (byte / 255 - mean) / std."""
    plain, added = graph.constants[weight], graph.constants[bias]
    std, mean = (np.array(channels).reshape(1, -1, 1, 1) for channels in (how.std, how.mean))

    def scaled() -> Array:
        return (plain.read() / (BRIGHTEST * std)).astype(plain.dtype)

    def shifted() -> Array:
        moved = (plain.read() * (mean / std)).sum(axis=(1, 2, 3))
        return (added.read() - moved).astype(added.dtype)

    graph.constants[weight] = Constant(plain.shape, plain.dtype, scaled)
    graph.constants[bias] = Constant(added.shape, added.dtype, shifted)
