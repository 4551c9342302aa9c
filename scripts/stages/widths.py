"""Widths of activations: what kinds of them there are, and 16 bits for some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from scripts.stages import encodings as grids
from scripts.stages import roles
from scripts.stages.encodings import Encoding, Encodings
from scripts.stages.onnx_network import Network

NARROW, WIDE = 8, 16


def at(activations: Mapping[str, Encoding], names: Iterable[str], bits: int) -> dict[str, Encoding]:
    """Return the encodings with those of some tensors at another width."""
    return {**activations, **{name: activations[name].at(bits) for name in names}}


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


def _operation(node: onnx.NodeProto) -> str:
    return "Norm" if node.op_type in roles.NORMS else node.op_type


def given(network: Network) -> dict[str, Encoding]:
    """Return the encodings that the network itself prescribes: those of the bytes that it takes."""
    found: dict[str, Encoding] = {}
    for node in network.graph.node:
        if node.op_type == "DequantizeLinear":
            scale, zero = (network.array(name) for name in node.input[1:])
            found[node.output[0]] = grids.fixed(float(scale), -int(zero), 8 * zero.itemsize)
        elif node.op_type in roles.MOVERS and node.input[0] in found:
            found.update(dict.fromkeys(node.output, found[node.input[0]]))
    return found


def quantized_as(network: Network) -> dict[str, str]:
    """Return for every activation to be quantised the one whose encoding it shares."""
    exact, producers = given(network), network.producers()
    source: dict[str, str] = {}
    for name in network.float_tensors():
        if name not in exact:
            moved = name in producers and producers[name].op_type in roles.MOVERS
            source[name] = source.get(producers[name].input[0], name) if moved else name
    return source


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
    return Encodings(at(encodings.activations, names, WIDE), at(encodings.params, operands, WIDE))
