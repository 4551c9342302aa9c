"""The rewrite of the input: bytes as a camera gives them, nothing to preprocess but the size."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from scripts.errors import ConversionError
from scripts.lowering.graph import Array, Constant, Graph
from scripts.pictures.preprocess import BRIGHTEST, Preprocessing

ONE, ZERO = "pixels.one", "pixels.zero"


def take_bytes(graph: Graph, how: Preprocessing) -> None:
    """Take uint8 [1, height, width, 3], RGB; the patch embedding normalises.

    The bytes are read as numbers of scale 1: quantised as they are, without loss.

    Raises:
        ConversionError: the input is read by anything but one convolution with a bias.
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
    for made in (
        helper.make_node("DequantizeLinear", [name, *grid], [numbers], numbers),
        helper.make_node("Transpose", [numbers], [ordered], ordered, perm=[0, 3, 1, 2]),
    ):
        graph.insert_before(embedding, made)
    embedding.input[0] = ordered
    shape = [1, height, width, channels]
    graph.input = helper.make_tensor_value_info(name, TensorProto.UINT8, shape)


def _fold(graph: Graph, weight: str, bias: str, how: Preprocessing) -> None:
    """Let the embedding compute what it did of (byte / 255 - mean) / std, of the byte itself."""
    plain, added = graph.constants[weight], graph.constants[bias]
    std, mean = (np.array(one).reshape(1, -1, 1, 1) for one in (how.std, how.mean))

    def scaled() -> Array:
        return (plain.read() / (BRIGHTEST * std)).astype(plain.dtype)

    def shifted() -> Array:
        moved = (plain.read() * (mean / std)).sum(axis=(1, 2, 3))
        return (added.read() - moved).astype(added.dtype)

    graph.constants[weight] = Constant(plain.shape, plain.dtype, scaled)
    graph.constants[bias] = Constant(added.shape, added.dtype, shifted)
