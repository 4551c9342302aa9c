"""The plain recipe of quantisation: from the ranges that were observed to encodings.

Weights get one symmetric scale an output channel, activations one asymmetric scale a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.network.roles import Role
from openqnn.progress import track
from openqnn.quantization import clipping, encodings, observe, sharing
from openqnn.quantization.encodings import Encoding, Encodings
from openqnn.quantization.observe import Range

# Half of what 32 bits hold, in the units of the integer sums, which need room themselves.
LARGEST_BIAS = 2**30
# With other widths the HTP refuses a LayerNorm, or takes a third longer for a whole layer.
GAIN_BITS, SHIFT_BITS = 8, 32
WEIGHT_BITS = 8


def calibrated(
    network: Network, samples: Sequence[Path], method: str, bits: int, weight_bits: int
) -> Encodings:
    """Return encodings of a network by its samples, activations having `bits`.

    The network that is given is changed: no constant plays two parts in it any more.
    """
    separate_constants(network)
    seen = observe.extremes(network, dict.fromkeys(measured(network), ()), samples)
    limits = {name: extremes.range() for name, extremes in seen.items()}
    return encoded(network, limits, samples, method, bits, weight_bits)


def encoded(
    network: Network,
    limits: dict[str, Range],
    samples: Sequence[Path],
    method: str,
    bits: int,
    weight_bits: int = WEIGHT_BITS,
) -> Encodings:
    """Return encodings of a network whose activations were seen within `limits`."""
    return fitted(
        network,
        Encodings(
            activation_encodings(network, limits, samples, method, bits),
            param_encodings(network, bits, weight_bits),
        ),
    )


def measured(network: Network) -> list[str]:
    """Return the activations that need calibration: movers share, some outputs are in [0, 1]."""
    producers = network.producers()
    return [
        name
        for name in dict.fromkeys(sharing.quantized_as(network).values())
        if name not in producers or producers[name].op_type not in roles.UNIT_OUTPUT
    ]


def separate_constants(network: Network) -> None:
    """Give every use of a constant in another role, or along another axis, a copy of its own.

    The copies share the bytes of external data.
    """
    first: dict[str, tuple[Role, int]] = {}
    for node in network.graph.node:
        for index, name in enumerate(node.input):
            if not network.is_float(name):
                continue
            rank = len(network.constants[name].dims)
            part = roles.role(node, index)
            use = (part, roles.output_axis(node, rank) if part is Role.WEIGHT else 0)
            if first.setdefault(name, use) == use:
                continue
            node.input[index] = network.add_copy(name, f"{name}.{part.value}{use[1]}")
            first[node.input[index]] = use


def activation_encodings(
    network: Network, limits: dict[str, Range], pictures: Sequence[Path], method: str, bits: int
) -> dict[str, Encoding]:
    """Return an encoding for every activation, given the ranges of the measured ones."""
    producers, source = network.producers(), sharing.quantized_as(network)
    cut = limits
    if method != clipping.MIN_MAX:
        histograms = observe.histograms(network, limits, pictures)
        cut = {name: clipping.cut(one, method, bits) for name, one in histograms.items()}
    own = {
        name: replace(
            encodings.asymmetric(one.low, one.high, bits),
            observed=(limits[name].low, limits[name].high),
        )
        for name, one in cut.items()
    }
    for name in set(source.values()) - own.keys():
        own[name] = unit_encoding(producers[name].op_type, bits)
    return {**sharing.given(network), **{name: own[first] for name, first in source.items()}}


def unit_encoding(operator: str, bits: int) -> Encoding:
    """Return the encoding of values in [0, 1]; the HTP prescribes 2^-bits for a Sigmoid."""
    scale = 2.0**-bits if operator == "Sigmoid" else 1 / (2**bits - 1)
    return encodings.fixed(scale, 0, bits)


def param_encodings(
    network: Network, bits: int, weight_bits: int = WEIGHT_BITS
) -> dict[str, Encoding]:
    """Return an encoding for every float constant but the biases."""
    uses = [
        (node, index)
        for node in network.graph.node
        for index, name in enumerate(node.input)
        if network.is_float(name) and roles.role(node, index) not in roles.UNENCODED
    ]
    made: dict[str, Encoding] = {}
    for node, index in track(uses, "weights"):
        name = node.input[index]
        values = network.array(name)
        if roles.role(node, index) is Role.WEIGHT:
            axis = roles.output_axis(node, values.ndim)
            others = tuple(one for one in range(values.ndim) if one != axis)
            made[name] = encodings.symmetric(np.abs(values).max(axis=others), weight_bits)
        elif roles.role(node, index) is Role.SHIFT:
            made[name] = encodings.symmetric([float(np.abs(values).max())], SHIFT_BITS)
        else:
            width = GAIN_BITS if roles.role(node, index) is Role.GAIN else bits
            made[name] = encodings.asymmetric(float(values.min()), float(values.max()), width)
    return made


def fitted(network: Network, made: Encodings) -> Encodings:
    """Return encodings whose weights have scales so wide that every bias fits into 32 bits.

    A bias counts in units of the input's scale times the weight's. A channel with a large constant
    part, as DINO's residual has, does not fit where the input is read at 16 bits. So this comes
    after every choice of widths; scales only grow.
    """
    params = dict(made.params)
    for node in network.graph.node:
        if len(node.input) > 2 and roles.role(node, 2) is Role.BIAS:
            weight = params[node.input[1]]
            bias = np.abs(np.asarray(network.array(node.input[2]), np.float64))
            bits = made.activations[node.output[0]].bits
            least = bias / (made.activations[node.input[0]].at(bits).scale * LARGEST_BIAS)
            scales = np.maximum(np.array(weight.scales), least).astype(np.float32)
            params[node.input[1]] = replace(weight, scales=tuple(scales.tolist()))
    return Encodings(made.activations, params)
