"""Turns a float network and its encodings into the QuantizeLinear/DequantizeLinear form (QDQ).

Weights become int8 in external data, biases int32; a tensor that is read at another width than it
is written at (8 and 16 bits mixed) is converted once in between. An operator works at its
output's width. Weights are streamed one at a time.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from openqnn.network import roles
from openqnn.network.onnx_network import DataFile, Network, SharedConstants
from openqnn.network.roles import Role
from openqnn.quantization.encodings import Encoding, Encodings
from openqnn.refusal import Refused

# The first opset whose QuantizeLinear knows 16 bits.
OPSET = 21
# Of activations; weights may have 4.
ACTIVATION_BITS = 8
# A scale is a float32: a value at the end of its range may be beyond it by so much.
ROUNDING = 1 + 1e-6
AGAIN = "quantise again; encodings belong to one .onnx file"


def insert(model_path: Path, encodings_path: Path, out_path: Path) -> None:
    """Write the QDQ form of a network to `out_path`, its weights to the `.onnx_data` beside it.

    Raises:
        Refused: the encodings do not fit the network, or its opset is below 21.
    """
    write(Network.load(model_path), Encodings.load(encodings_path), out_path)


def write(network: Network, encodings: Encodings, out_path: Path) -> onnx.ModelProto:
    """Write the QDQ form of a network, and return it without its weights.

    Raises:
        Refused: the encodings do not fit the network, or its opset is below 21.
    """
    check(network, encodings)
    with DataFile(out_path.with_suffix(".onnx_data")) as data:
        model = _Inserter(network, encodings, data).build()
    onnx.save(model, out_path)
    return model


def check(network: Network, encodings: Encodings) -> None:
    """Hold encodings against a network: each of its tensors has one, and there are no others.

    Raises:
        Refused: they do not fit.
    """
    version = max(one.version for one in network.model.opset_import if not one.domain)
    if version < OPSET:
        raise Refused(f"The network has opset {version}; quantising needs {OPSET}.")
    narrow = [name for name, one in encodings.activations.items() if one.bits < ACTIVATION_BITS]
    if narrow:
        raise Refused(
            f"The activation {narrow[0]!r} has {encodings.activations[narrow[0]].bits} bits; "
            f"the HTP computes with {ACTIVATION_BITS} at least.",
            remedy="only weights may have 4",
        )
    _same("activation", set(network.float_tensors()), set(encodings.activations))
    _same("constant", encoded_constants(network), set(encodings.params))


def quantize(array: NDArray[Any], encoding: Encoding, axis: int = 0) -> NDArray[Any]:
    """Return the integers of an array; with several scales, they run along `axis`."""
    scales = np.array(encoding.scales, np.float64)
    if scales.size > 1:
        scales = scales.reshape([-1 if one == axis else 1 for one in range(array.ndim)])
    steps = np.asarray(array / scales)
    np.rint(steps, out=steps)
    steps += encoding.zero_point
    return np.clip(steps, *encoding.limits, out=steps).astype(encoding.dtype)


class _Inserter:
    def __init__(self, network: Network, encodings: Encodings, data: DataFile) -> None:
        self._network, self._encodings, self._data = network, encodings, data
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._made: set[str] = set()
        self._grids = SharedConstants()
        self._outputs = {value.name for value in network.graph.output}

    def build(self) -> onnx.ModelProto:
        """Return the whole model."""
        graph = self._network.graph
        if graph.input[0].name in self._encodings.activations:
            self._quantize_activation(graph.input[0].name, graph.input[0].name)
        for node in graph.node:
            self._rewrite(node)
        constants = [*self._constants.values(), *self._grids.tensors]
        made = helper.make_graph(self._nodes, graph.name, graph.input, graph.output, constants)
        return helper.make_model(
            made,
            opset_imports=self._network.model.opset_import,
            ir_version=self._network.model.ir_version,
        )

    def _rewrite(self, node: NodeProto) -> None:
        encoding = self._encodings.activations[node.output[0]]
        if node.op_type == "DequantizeLinear":  # it reads what is quantised already
            self._dequantize(node.input[0], self._readable(node.output[0]), encoding)
        else:
            self._rewrite_float(node, encoding.bits)

    def _rewrite_float(self, node: NodeProto, bits: int) -> None:
        made = NodeProto()
        made.CopyFrom(node)
        del made.metadata_props[:]
        made.input[:] = [self._input(node, index, bits) for index in range(len(node.input))]
        made.output[:] = [self._written(name) for name in node.output]
        self._nodes.append(made)
        for name in node.output:
            self._quantize_activation(name, self._written(name))

    def _input(self, node: NodeProto, index: int, bits: int) -> str:
        name = node.input[index]
        if name in self._encodings.activations:
            return self._read(name, bits)
        if not self._network.is_float(name):
            if name:
                tensor = numpy_helper.from_array(self._network.array(name), name)
                self._constants[name] = tensor
            return name
        role = roles.role(node, index)
        if role is Role.BIAS:
            return self._bias(node, name, bits)
        encoding = self._encodings.params[name]
        if role is Role.WEIGHT:
            axis = roles.output_axis(node, len(self._network.constants[name].dims))
            return self._constant(name, encoding, axis)
        if role is Role.SHIFT:
            self._require_room(name, encoding)
        if role in (Role.GAIN, Role.SHIFT):
            return self._constant(name, encoding)
        return self._constant(name, encoding.at(bits))

    def _bias(self, node: NodeProto, name: str, bits: int) -> str:
        """Return a bias as 32-bit integers in the units of the node's integer sums."""
        weight = self._encodings.params[node.input[1]]
        scale = self._encodings.activations[node.input[0]].at(bits).scale
        scales = tuple(float(np.float32(scale * one)) for one in weight.scales)
        encoding = Encoding(32, scales, -(2**31), symmetric=True)
        self._require_room(name, encoding)
        return self._constant(name, encoding, label=f"{node.output[0]}.{name}")

    def _require_room(self, name: str, encoding: Encoding) -> None:
        """Refuse a constant that its integers would cut off: nobody chooses that for a sum.

        Of weights, encodings may cut the largest off on purpose.
        """
        values = np.asarray(self._network.array(name), np.float64)
        room = np.array(encoding.scales) * encoding.limits[1]
        if (np.abs(values) > room * ROUNDING).any():
            raise Refused(
                f"{name!r} reaches {np.abs(values).max():.6g}, more than its {encoding.bits} bits "
                "hold at the scale of its sums.",
                cause="encodings whose weights have scales for another width of activations",
                remedy=AGAIN,
            )

    def _constant(self, name: str, encoding: Encoding, axis: int = 0, label: str = "") -> str:
        label = label or f"{name}.{encoding.bits}"
        if label not in self._made:
            array = self._network.array(name)
            integers = partial(quantize, array, encoding, axis)
            self._constants[label] = self._data.defer(
                f"{label}.q", encoding.dtype, array.shape, integers
            )
            self._dequantize(f"{label}.q", label, encoding, axis)
            self._made.add(label)
        return label

    def _written(self, name: str) -> str:
        return f"{name}.float" if name in self._outputs else name

    def _readable(self, name: str) -> str:
        return name if name in self._outputs else f"{name}.dq"

    def _read(self, name: str, bits: int) -> str:
        """Return a quantised activation at a width, converting it where that is not its own."""
        encoding = self._encodings.activations[name]
        label = f"{name}.{bits}.dq"
        if bits == encoding.bits:
            return self._readable(name)
        if label not in self._made:
            self._pair(self._readable(name), f"{name}.{bits}.q", label, encoding.at(bits))
            self._made.add(label)
        return label

    def _quantize_activation(self, name: str, written: str) -> None:
        encoding = self._encodings.activations[name]
        self._pair(written, f"{name}.q", self._readable(name), encoding)

    def _pair(self, source: str, integers: str, target: str, encoding: Encoding) -> None:
        inputs = [source, *self._grid(encoding)]
        self._nodes.append(helper.make_node("QuantizeLinear", inputs, [integers], integers))
        self._dequantize(integers, target, encoding)

    def _dequantize(self, integers: str, target: str, encoding: Encoding, axis: int = 0) -> None:
        inputs = [integers, *self._grid(encoding)]
        made = helper.make_node("DequantizeLinear", inputs, [target], f"{integers}.dequantized")
        if len(encoding.scales) > 1:
            made.attribute.append(helper.make_attribute("axis", axis))
        self._nodes.append(made)

    def _grid(self, encoding: Encoding) -> tuple[str, str]:
        """Return the names of the scale and the zero point of an encoding."""
        scales = np.array(encoding.scales, np.float32)
        zeros = np.full(scales.shape, encoding.zero_point, encoding.dtype)
        if scales.size == 1:
            scales, zeros = scales.reshape(()), zeros.reshape(())
        return self._grids.name(scales, "scale"), self._grids.name(zeros, "zero")


def encoded_constants(network: Network) -> set[str]:
    """Return the float constants that have encodings of their own."""
    return {
        name
        for node in network.graph.node
        for index, name in enumerate(node.input)
        if network.is_float(name) and roles.role(node, index) not in roles.UNENCODED
    }


def _same(what: str, wanted: set[str], found: set[str]) -> None:
    for names, problem in (
        (wanted - found, "has no encoding"),
        (found - wanted, "is not in the network, yet has an encoding"),
    ):
        if names:
            raise Refused(f"The {what} {min(names)!r} {problem}.", remedy=AGAIN)
