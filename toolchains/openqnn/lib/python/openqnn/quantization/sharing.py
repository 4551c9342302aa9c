"""Which activations have an encoding of their own, and which share that of another."""

from __future__ import annotations

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization import encodings
from openqnn.quantization.encodings import Encoding


def given(network: Network) -> dict[str, Encoding]:
    """Return the encodings that the network itself prescribes: those of the bytes that it takes."""
    found: dict[str, Encoding] = {}
    for node in network.graph.node:
        if node.op_type == "DequantizeLinear":
            scale, zero = (network.array(name) for name in node.input[1:])
            found[node.output[0]] = encodings.fixed(float(scale), -int(zero), 8 * zero.itemsize)
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
