"""Widths of activations: what kinds of them there are, and 16 bits for some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization import recipe
from openqnn.quantization.encodings import Encoding, Encodings
from openqnn.quantization.sharing import quantized_as

NARROW, WIDE = 8, 16


def at(activations: Mapping[str, Encoding], names: Iterable[str], bits: int) -> dict[str, Encoding]:
    """Return the encodings with those of some tensors at another width."""
    return {**activations, **{name: activations[name].anew(bits) for name in names}}


def kinds(network: Network) -> dict[str, list[str]]:
    """Return the activations by what writes and what reads them, movers seen through."""
    producers, source = network.producers(), quantized_as(network)
    readers: dict[str, set[str]] = {name: set() for name in source.values()}
    for node in network.graph.node:
        if node.op_type not in roles.MOVERS:
            for name in filter(source.get, node.input):
                readers[source[name]].add(_operation(node))
    made: dict[str, list[str]] = {}
    for name, reading in readers.items():
        writer = _operation(producers[name]) if name in producers else "input"
        kind = f"{writer} to {' and '.join(sorted(reading)) or 'output'}"
        made.setdefault(kind, []).append(name)
    return made


def of_stream(kind: str) -> bool:
    """Tell whether a kind is of the residual stream: a norm reads it."""
    return "Norm" in kind.split(" to ")[1].split(" and ")


def of_softmax(kind: str) -> bool:
    """Tell whether a kind is of attention scores or of probabilities."""
    return "Softmax" in kind.split()


def _operation(node: onnx.NodeProto) -> str:
    return "Norm" if node.op_type in roles.NORMS else node.op_type


def raised(network: Network, encodings: Encodings, chosen: Iterable[str]) -> Encodings:
    """Return encodings that give some activations 16 bits, from their writers to their readers.

    An operator works at its output's width, so what reads such an activation writes 16 bits, too.
    """
    chosen, source = set(chosen), quantized_as(network)
    wide = set(chosen)
    operands: set[str] = set()
    for node in network.graph.node:
        reads = chosen.intersection(source[name] for name in node.input if name in source)
        if reads or source.get(node.output[0]) in wide:
            wide.update(source[name] for name in node.output)
            operands.update(
                name
                for index, name in enumerate(node.input)
                if network.is_float(name) and roles.role(node, index) is roles.Role.OPERAND
            )
    names = [name for name, first in source.items() if first in wide]
    made = Encodings(at(encodings.activations, names, WIDE), at(encodings.params, operands, WIDE))
    return recipe.fitted(network, made)
