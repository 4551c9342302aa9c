"""Four bits for the weights of linear layers: for which, and with which scales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from openqnn.network import pieces, roles
from openqnn.network.onnx_network import Network
from openqnn.network.pieces import Piece
from openqnn.progress import say
from openqnn.quantization import recipe
from openqnn.quantization.encodings import Encoding, Encodings, symmetric
from scripts import catalog
from scripts.outputs import has_cls
from scripts.quantization import rounding, widths
from scripts.words import counted


def narrowed(
    network: Network, made: Encodings, pictures: Sequence[Path], bits: int, scope: str
) -> Encodings:
    """Round the weights of linear layers to few bits, and return encodings that say so.

    The network's own files are changed. The scales fit biases for inputs of 16 bits, so that they
    stay what they are whichever widths activations get.
    """
    nodes = linears(network, scope)
    few = {node.input[1]: rounding.least_squares(network, node, bits) for node in nodes}
    wide = widths.at(made.activations, made.activations, widths.WIDE)
    fitted = recipe.fitted(network, Encodings(wide, {**made.params, **few}))
    cls = any(has_cls(value.name) for value in network.graph.output)
    rounding.round_weights(network, fitted, few.keys(), pictures, cls=cls)
    say(f"  the weights of {counted(len(few), 'linear layer')} have {bits} bits")
    few = {name: fitted.params[name] for name in few}
    # Biases took up what the weights lost: they may need a little more room.
    return recipe.fitted(network, Encodings(made.activations, {**made.params, **few}))


def coarse(network: Network, made: Encodings, bits: int, scope: str) -> Encodings:
    """Return encodings of 8-bit weights with few bits for those of linear layers.

    The grid's range stays, so nothing is rounded with care: for a time, numbers do not matter.
    """
    names = (node.input[1] for node in linears(network, scope))
    few = {name: _coarse(made.params[name], bits) for name in names}
    return Encodings(made.activations, {**made.params, **few})


def _coarse(encoding: Encoding, bits: int) -> Encoding:
    most = 2 ** (encoding.bits - 1) - 1
    return symmetric([scale * most for scale in encoding.scales], bits)


def linears(network: Network, scope: str) -> list[NodeProto]:
    """Return the linear layers of a scope, in the order of the network.

    A half of a transformer layer is a piece that begins at a norm and adds to what this reads;
    attention's has a Softmax. A matrix with two numbers a column is a rotation of RoPE's.
    """
    return [
        node
        for piece in pieces.cut(network, 1)
        if _is_half(piece) and (scope == catalog.EVERY_LINEAR or not _attends(piece))
        for node in piece.nodes
        if node.op_type in rounding.LINEAR
        and network.is_float(node.input[1])
        and not _rotates(network.array(node.input[1]))
    ]


def _is_half(piece: Piece) -> bool:
    streams = {node.input[0] for node in piece.nodes if node.op_type in roles.NORMS}
    return any(node.op_type == "Add" and streams.intersection(node.input) for node in piece.nodes)


def _rotates(matrix: NDArray[Any]) -> bool:
    """Tell whether no output is of more than two inputs: signs, or their like once equalised."""
    return bool(np.count_nonzero(matrix, axis=0).max() <= 2)


def _attends(piece: Piece) -> bool:
    return any(node.op_type == "Softmax" for node in piece.nodes)
