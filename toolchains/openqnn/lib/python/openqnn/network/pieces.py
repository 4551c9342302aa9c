"""A network cut into pieces that one tensor alone connects, to be worked on one after another.

Opening a session on ten thousand nodes takes ONNX Runtime, and the QNN provider, far longer than on
a hundred times a hundred; and of a piece's weights memory holds no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx
from onnx import ModelProto, NodeProto, ValueInfoProto

from openqnn.network.onnx_network import Network


@dataclass(frozen=True)
class Piece:
    """Consecutive nodes; `source` is the one tensor they read of those before, `result` is left.

    The last one's result is the network's last output. Other outputs of the network end no piece.
    """

    nodes: Sequence[NodeProto]
    source: str
    result: str


def cut(network: Network, least: int) -> list[Piece]:
    """Return a network's pieces in order, each of at least `least` nodes if there are as many.

    The network's first input goes through them. Its other inputs are there for every piece; what is
    computed of these and of constants alone connects nothing: each piece computes it anew.
    """
    fixed = _beside(network)
    ends = {value.name for value in network.graph.output}
    inside = _inside_pairs(network) | ends
    last = {name: place for place, node in enumerate(network.graph.node) for name in node.input}
    source = network.graph.input[0].name
    alive, nodes = {source}, list[NodeProto]()
    pieces = []
    for place, node in enumerate(network.graph.node):
        if node.output[0] in fixed:
            continue
        nodes.append(node)
        alive.update(node.output)
        alive = {name for name in alive if last.get(name, -1) > place}
        if len(alive) == 1 and len(nodes) >= least and not alive <= inside:
            (result,) = alive
            pieces.append(Piece([*_needed(fixed, nodes), *nodes], source, result))
            source, nodes = result, []
    if nodes:
        (result,) = [name for node in nodes for name in node.output if name in ends][-1:]
        pieces.append(Piece([*_needed(fixed, nodes), *nodes], source, result))
    return pieces


class Extractor:
    """Makes models of pieces of a network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        known = onnx.shape_inference.infer_shapes(network.model).graph
        values = [*known.input, *known.value_info, *known.output]
        self._values = {value.name: value for value in values}

    def value(self, name: str) -> ValueInfoProto:
        """Return the type and shape of a tensor."""
        return self._values[name]

    def model(self, piece: Piece) -> ModelProto:
        """Return a piece as a model; its external data are the network's."""
        whole = self._network.model
        made = ModelProto(ir_version=whole.ir_version, opset_import=whole.opset_import)
        made.graph.name = whole.graph.name
        made.graph.node.extend(piece.nodes)
        read = dict.fromkeys(name for node in piece.nodes for name in node.input)
        constants = self._network.constants
        made.graph.initializer.extend(constants[name] for name in read if name in constants)
        others = [value for value in whole.graph.input[1:] if value.name in read]
        made.graph.input.extend([self.value(piece.source), *others])
        written = {name for node in piece.nodes for name in node.output}
        ends = [value for value in whole.graph.output if value.name in written]
        is_last = any(value.name == piece.result for value in ends)
        made.graph.output.extend(ends if is_last else [*ends, self.value(piece.result)])
        return made


def _inside_pairs(network: Network) -> set[str]:
    """Return what QuantizeLinear reads and DequantizeLinear makes: parts of an operator."""
    nodes = network.graph.node
    read = {node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    return read | {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}


def _beside(network: Network) -> dict[str, NodeProto]:
    """Return the nodes that what goes through the pieces does not reach, by their outputs."""
    given = {"", *network.constants, *(value.name for value in network.graph.input[1:])}
    fixed: dict[str, NodeProto] = {}
    for node in network.graph.node:
        if given.issuperset(node.input):
            fixed.update(dict.fromkeys(node.output, node))
            given.update(node.output)
    return fixed


def _needed(fixed: dict[str, NodeProto], nodes: Sequence[NodeProto]) -> Iterator[NodeProto]:
    """Yield, in order, those of the `fixed` nodes that some nodes need."""
    wanted = {name for node in nodes for name in node.input}
    for name in reversed(fixed):
        if name in wanted:
            wanted.update(fixed[name].input)
    yield from {id(node): node for name, node in fixed.items() if name in wanted}.values()
