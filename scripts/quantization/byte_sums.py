"""Linear layers of a trial in integers, four times as fast as in floats, and exact.

The integers of an input, u [tokens, inputs] of 8 or 16 bits with zero point z, are bytes:
u = 256 h + l and z = 256 zh + zl. With weights q [inputs, outputs] of scales t, and s the input's,

    x W = s t (sum over i of (u_i - z) q_i) = s t (256 sum (h - zh) q + sum (l - zl) q).

A matrix product of bytes has one zero point for all rows. So high and low bytes go one below the
other, with zh for both, and what the low ones are off by is the same for every token:

    sum (l - zl) q = sum (l - zh) q + (zh - zl) sum q.

With 8 bits there are no high bytes, and zl is the zero point for all: no row more is multiplied.
Sums are below 2^31 up to `LONGEST` inputs, and no float rounds before one.

The product of an unsigned and a signed byte is fast where the processor has VNNI. Without it ONNX
Runtime adds pairs of products in 16 bits and cuts off what is above: there (`saturates`) weights
are unsigned, with a zero point of 128, which is exact everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, external_data_helper, helper

from openqnn.network import relay
from openqnn.network.onnx_network import Network, SharedConstants

LONGEST = 2**31 // 2**16
BYTE = 256
HALF = 128
# More rows than there are.
ALL = np.iinfo(np.int64).max
# Those of the model that is asked whether sums are exact.
OPSET, IR_VERSION = 21, 10


class ByteSums:
    """Rewrites the linear layers of a trial's network, whose quantisers can switch grids."""

    def __init__(self, network: Network, constants: SharedConstants) -> None:
        self._network, self._constants = network, constants
        nodes = network.graph.node
        self._dequantized = {
            node.output[0]: node for node in nodes if node.op_type == "DequantizeLinear"
        }
        self._shapes = network.shapes()
        self._unsigned = saturates()
        self._weights: dict[str, tuple[str, str]] = {}
        self._split: set[str] = set()

    def reads(self, node: NodeProto) -> str:
        """Return the activation of a plain linear layer with weights of 8 bits; of others none."""
        if node.op_type != "Gemm" or node.attribute:
            return ""
        if not self._dequantized.keys() >= set(node.input[:2]):
            return ""
        source, weight = (self._dequantized[name].input[0] for name in node.input[:2])
        constant = self._network.constants.get(weight)
        kinds = TensorProto.INT8, TensorProto.UINT8
        plain = constant is not None and constant.data_type in kinds and constant.dims[0] < LONGEST
        return source.removesuffix(".q") if plain else ""

    def rewritten(self, node: NodeProto, name: str) -> Iterator[NodeProto]:
        """Yield the nodes that compute a layer of an activation, of which `q` are the integers."""
        if name not in self._split:
            self._split.add(name)
            yield from self._bytes(name)
        weight = self._dequantized[node.input[1]]
        integers, totals = self._weight(weight)
        out, lift = node.output[0], f"{node.output[0]}.lift"
        scales = f"{name}.scale", weight.input[1]
        product = [f"{name}.bytes", integers, *scales, f"{name}.byte_zero"]
        if self._unsigned:
            product.append(self._constant(HALF, np.uint8))
        sums = helper.make_node("MatMulIntegerToFloat", product, [f"{out}.sums"])
        sums.domain = relay.DOMAIN
        yield sums
        yield helper.make_node("Reshape", [f"{out}.sums", f"{name}.parts"], [f"{out}.parts"])
        yield helper.make_node("MatMul", [f"{name}.powers", f"{out}.parts"], [f"{out}.joined"])
        shape = self._constant(self._shapes[out])
        yield helper.make_node("Reshape", [f"{out}.joined", shape], [f"{out}.centred"])
        yield helper.make_node("Mul", [f"{name}.lift", totals], [lift])
        for index, bias in enumerate(node.input[2:]):
            yield helper.make_node("Add", [bias, lift], [f"{lift}.{index}"])
            lift = f"{lift}.{index}"
        yield helper.make_node("Add", [f"{out}.centred", lift], [out])

    def _bytes(self, name: str) -> Iterator[NodeProto]:
        """Yield the nodes that split an activation's integers, and what they take."""
        wide, constant = f"{name}.is_wide", self._constant
        yield helper.make_node("Where", [wide, constant([ALL]), constant([0])], [f"{name}.rows"])
        yield helper.make_node(
            "Where", [wide, constant([2, -1]), constant([1, -1])], [f"{name}.parts"]
        )
        yield helper.make_node("Where", [wide, constant([2]), constant([1])], [f"{name}.count"])
        powers = constant([[1, BYTE]], np.float32)
        inputs = [powers, constant([0]), f"{name}.count", constant([1])]
        yield helper.make_node("Slice", inputs, [f"{name}.powers"])
        yield from self._rows(name)
        yield from self._zeros(name)

    def _rows(self, name: str) -> Iterator[NodeProto]:
        """Yield the nodes that put high bytes below low ones; narrow integers have none."""
        integers, constant = f"{name}.q", self._constant
        low, high = f"{name}.low_bytes", f"{name}.high_bytes"
        mask = constant(BYTE - 1, np.uint16)
        yield helper.make_node("BitwiseAnd", [integers, mask], [f"{low}.number"])
        yield _cast(f"{low}.number", low, TensorProto.UINT8)
        rows = [integers, constant([0]), f"{name}.rows", constant([0])]
        yield helper.make_node("Slice", rows, [f"{high}.rows"])
        yield _cast(f"{high}.rows", f"{high}.number", TensorProto.UINT32)
        shift = [f"{high}.number", constant(8, np.uint32)]
        yield helper.make_node("BitShift", shift, [f"{high}.shifted"], direction="RIGHT")
        yield _cast(f"{high}.shifted", high, TensorProto.UINT8)
        yield helper.make_node("Concat", [low, high], [f"{name}.bytes"], axis=0)

    def _zeros(self, name: str) -> Iterator[NodeProto]:
        """Yield the nodes of all bytes' zero point, and of what low ones are off by, in reals."""
        zero, high, low = f"{name}.zero.number", f"{name}.zero.high", f"{name}.zero.low"
        base, used, off = self._constant(BYTE), f"{name}.zero.used", f"{name}.zero.off"
        yield helper.make_node("Div", [zero, base], [high])
        yield helper.make_node("Mod", [zero, base], [low])
        yield helper.make_node("Where", [f"{name}.is_wide", high, low], [used])
        yield _cast(used, f"{name}.byte_zero", TensorProto.UINT8)
        yield helper.make_node("Sub", [used, low], [off])
        yield _cast(off, f"{off}.number", TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{off}.number", f"{name}.scale"], [f"{name}.lift"])

    def _weight(self, node: NodeProto) -> tuple[str, str]:
        """Return the names of a weight's integers, and of their sums over inputs in its scales."""
        name = node.input[0]
        if name not in self._weights:
            integers = self._network.array(name)
            scales = np.asarray(self._network.array(node.input[1]), np.float64)
            totals = integers.sum(axis=0, dtype=np.int64) * scales
            if self._unsigned:
                self._make_unsigned(name, integers)
            self._weights[name] = name, self._constant(totals, np.float32)
        return self._weights[name]

    def _make_unsigned(self, name: str, integers: NDArray[Any]) -> None:
        """Add 128 to a weight's integers, where they lie."""
        tensor = self._network.constants[name]
        raised = integers.view(np.uint8) ^ np.uint8(HALF)
        tensor.data_type = TensorProto.UINT8
        if tensor.data_location != TensorProto.EXTERNAL:
            tensor.raw_data = raised.tobytes()
            return
        info = external_data_helper.ExternalDataInfo(tensor)
        path = self._network.folder / info.location
        place = np.memmap(path, np.uint8, "r+", info.offset or 0, raised.shape)
        place[:] = raised
        place.flush()

    def _constant(self, values: Any, kind: type = np.int64) -> str:
        return self._constants.name(np.asarray(values, kind), "sums")


@cache
def saturates() -> bool:
    """Tell whether products of unsigned and signed bytes are cut off on this processor."""
    import onnxruntime

    rows, columns = 8, 64
    inputs = np.full((rows, columns), BYTE - 1, np.uint8)
    weight = helper.make_tensor("w", TensorProto.INT8, [columns, columns], [127] * columns**2)
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
    return bool((sums != columns * (BYTE - 1) * 127).any())


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=kind)
