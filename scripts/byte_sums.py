"""Linear layers of a QDQ network in integers: four times as fast as in floats, and exact.

The integers of an input, u [tokens, inputs] of 8 or 16 bits with zero point z, are bytes:
u = 256 h + l and z = 256 zh + zl. With weights q [inputs, outputs] of scales t, and s the input's,

    x W = s t (sum over i of (u_i - z) q_i) = 256 s t sum (h - zh) q + s t sum (l - zl) q.

Sums are below 2^31 up to `LONGEST` inputs, and no float rounds before one.

The product of an unsigned and a signed byte is fast where the processor has VNNI. Without it ONNX
Runtime adds pairs of products in 16 bits and cuts off what is above: there (`saturates`) weights
are unsigned, with a zero point of 128, which is exact everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, external_data_helper, helper

from openqnn.network.onnx_network import Network, SharedConstants
from openqnn.network.relay import DOMAIN

LONGEST = 2**31 // 2**16
BITS = 8
BYTE = 2**BITS
HALF = BYTE // 2
# Those of the model that is asked whether sums are exact.
OPSET, IR_VERSION = 21, 10
# Ends the name of the file that has unsigned weights.
_UNSIGNED = ".unsigned"


@dataclass(frozen=True)
class Layer:
    """A plain linear layer, and the DequantizeLinear of what it reads and of its weight."""

    node: NodeProto
    source: NodeProto
    weight: NodeProto

    @property
    def biases(self) -> Sequence[str]:
        """Return the name of its bias, if it has one."""
        return list(self.node.input[2:])


class Layers:
    """The linear layers of a QDQ network."""

    def __init__(self, network: Network, constants: SharedConstants) -> None:
        self._network, self._constants = network, constants
        self._dequantized = {
            node.output[0]: node
            for node in network.graph.node
            if node.op_type == "DequantizeLinear"
        }
        self._unsigned = saturates()
        self._raised: set[str] = set()

    def layer(self, node: NodeProto) -> Layer | None:
        """Return a node as a layer if it is a plain one, with weights of 8 bits."""
        if node.op_type != "Gemm" or node.attribute:
            return None
        if not self._dequantized.keys() >= set(node.input[:2]):
            return None
        source, weight = (self._dequantized[name] for name in node.input[:2])
        constant = self._network.constants.get(weight.input[0])
        kinds = TensorProto.INT8, TensorProto.UINT8
        if constant is None or constant.data_type not in kinds or constant.dims[0] >= LONGEST:
            return None
        return Layer(node, source, weight)

    def integers(self, layer: Layer) -> NDArray[Any]:
        """Return the integers of a layer's weight [inputs, outputs], before any `product`."""
        return np.asarray(self._network.array(layer.weight.input[0]))

    def scales(self, layer: Layer) -> NDArray[np.float64]:
        """Return the scales of a layer's weight."""
        return np.asarray(self._network.array(layer.weight.input[1]), np.float64)

    def product(
        self, layer: Layer, rows: str, scale: str, zero: str, out: str, bias: Sequence[str] = ()
    ) -> NodeProto:
        """Return the node that multiplies bytes [rows, inputs] by a layer's weight."""
        weight = layer.weight.input[0]
        weight_zero = self._raise(weight) if self._unsigned else ""
        inputs = [rows, weight, scale, layer.weight.input[1], zero, weight_zero, *bias]
        return helper.make_node("MatMulIntegerToFloat", inputs, [out], domain=DOMAIN)

    def constant(self, values: Any, kind: type = np.int64) -> str:
        """Return the name of a constant."""
        return self._constants.name(np.asarray(values, kind), "sums")

    def _raise(self, name: str) -> str:
        """Add 128 to a weight's integers, in this network; return the name of their zero point."""
        if name not in self._raised:
            self._raised.add(name)
            integers = np.asarray(self._network.array(name)).view(np.uint8) ^ np.uint8(HALF)
            _replace(self._network, name, integers)
        return self.constant(HALF, np.uint8)


def low_bytes(layers: Layers, integers: str, out: str) -> Iterator[NodeProto]:
    """Yield the nodes that take the low bytes of integers of 16 bits."""
    mask = layers.constant(BYTE - 1, np.uint16)
    yield helper.make_node("BitwiseAnd", [integers, mask], [f"{out}.number"])
    yield cast(f"{out}.number", out, TensorProto.UINT8)


def high_bytes(layers: Layers, integers: str, out: str) -> Iterator[NodeProto]:
    """Yield the nodes that take the high bytes of integers of 16 bits."""
    yield cast(integers, f"{out}.number", TensorProto.UINT32)
    shift = [f"{out}.number", layers.constant(BITS, np.uint32)]
    yield helper.make_node("BitShift", shift, [f"{out}.shifted"], direction="RIGHT")
    yield cast(f"{out}.shifted", out, TensorProto.UINT8)


def cast(source: str, target: str, kind: int) -> NodeProto:
    """Return a node that converts a tensor."""
    return helper.make_node("Cast", [source], [target], to=kind)


@cache
def saturates() -> bool:
    """Tell whether products of unsigned and signed bytes are cut off on this processor."""
    import onnxruntime

    rows, columns, largest = 8, 64, HALF - 1
    inputs = np.full((rows, columns), BYTE - 1, np.uint8)
    weight = helper.make_tensor("w", TensorProto.INT8, [columns] * 2, [largest] * columns**2)
    shape = helper.make_tensor_value_info("x", TensorProto.UINT8, [rows, columns])
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    result = helper.make_tensor_value_info("y", TensorProto.INT32, [rows, columns])
    graph = helper.make_graph([node], "saturates", [shape], [result], [weight])
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (sums,) = session.run(["y"], {"x": inputs})
    return bool((sums != columns * (BYTE - 1) * largest).any())


def _replace(network: Network, name: str, values: NDArray[np.uint8]) -> None:
    """Replace a constant's bytes: they are unsigned.

    External ones go into another file: that of the network may be read again, as it says it is.
    """
    tensor = network.constants[name]
    tensor.data_type = TensorProto.UINT8
    if tensor.data_location != TensorProto.EXTERNAL:
        tensor.raw_data = values.tobytes()
        return
    info = external_data_helper.ExternalDataInfo(tensor)
    path = network.folder / f"{info.location}{_UNSIGNED}"
    path.touch()
    with path.open("r+b") as file:
        file.seek(info.offset or 0)
        file.write(values.data)
    next(entry for entry in tensor.external_data if entry.key == "location").value = path.name
