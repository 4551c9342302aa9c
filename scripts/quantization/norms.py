"""The other form of a norm on a centred stream: LayerNormalization with a shift of nought.

`lower` takes the mean out of all that writes to the residual stream, so RMSNormalization does for
LayerNormalization: both give x / sqrt(mean(x^2) + epsilon) where mean(x) = 0. The HTP is fast at
the one where it reads 8 bits, and at the other where it reads 16. Which of them a network gets is
chosen by simulation, once the stream's width is known.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization import recipe
from openqnn.quantization.encodings import Encodings, symmetric

RMS, LAYER = "RMSNormalization", "LayerNormalization"
BY_WIDTH = f"{LAYER} of 16 bits, {RMS} of 8"
# The noughts that RMS norms add as LayerNormalization, one for each width.
NO_SHIFT = "no_shift"


def has_other_form(network: Network) -> bool:
    """Tell whether a network has an RMSNormalization."""
    return any(node.op_type == RMS for node in network.graph.node)


def as_layer_norms(
    network: Network, encodings: Encodings, readers: Collection[str] | None = None
) -> tuple[Network, Encodings]:
    """Return a network and its encodings with a LayerNormalization for RMSNormalizations.

    RMSNormalization(x, gain) -> LayerNormalization(x, gain, 0)

    That is for those whose outputs are in `readers`, or for all.
    """
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    other = Network(model, network.folder)
    params = dict(encodings.params)
    for node in model.graph.node:
        if node.op_type == RMS and (readers is None or node.output[0] in readers):
            shift = _shift(other, node)
            node.op_type = LAYER
            node.input.append(shift)
            params[shift] = symmetric([0.0], recipe.SHIFT_BITS)
    return other, Encodings(encodings.activations, params)


def name(network: Network) -> str:
    """Return the operator of a network's first norm, "none" if it has none."""
    operators = (node.op_type for node in network.graph.node)
    return next((operator for operator in operators if operator in roles.NORMS), "none")


def _shift(network: Network, node: NodeProto) -> str:
    """Return a constant of noughts for a norm, one for all of its width."""
    (width,) = network.constants[node.input[1]].dims
    name = f"{NO_SHIFT}.{width}"
    if name not in network.constants:
        tensor = numpy_helper.from_array(np.zeros(width, np.float32), name)
        network.graph.initializer.append(tensor)
        network.constants[name] = tensor
    return name
