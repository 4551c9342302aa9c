"""A network under rewriting: nodes in order, and constants that are computed only when written.

A rewritten weight is the old one and a function of it, so no rewrite holds a weight in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from openqnn.network.onnx_network import DataFile, Network
from scripts.errors import ConversionError

Array = NDArray[Any]
# Constants up to this many elements are shown to shape inference, which needs those of a Reshape.
SMALL = 64


@dataclass(frozen=True)
class Constant:
    """A constant's shape and type, and how to compute it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Array]


class Graph:
    """Nodes, constants and shapes of a network; what rewrites work on."""

    def __init__(self, network: Network) -> None:
        self._model = network.model
        self.nodes: list[NodeProto] = list(network.graph.node)
        self.input, self.outputs = network.graph.input[0], list(network.graph.output)
        self.constants = {name: _stored(network, name) for name in network.constants}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.tidy()

    def require(self, opset: int, ir_version: int) -> None:
        """Raise the versions of operators and file format to what a rewrite's operators need."""
        onnx_opset = next(entry for entry in self._model.opset_import if not entry.domain)
        onnx_opset.version = max(onnx_opset.version, opset)
        self._model.ir_version = max(self._model.ir_version, ir_version)

    def tidy(self) -> None:
        """Drop unused nodes and constants, and infer all shapes again."""
        used, live = {value.name for value in self.outputs}, []
        for node in reversed(self.nodes):
            if used & set(node.output):
                used |= set(node.input)
                live.append(node)
        self.nodes = live[::-1]
        constants = self.constants.items()
        self.constants = {name: constant for name, constant in constants if name in used}
        self.shapes = self._inferred_shapes()

    def producers(self) -> dict[str, NodeProto]:
        """Return the node that computes each tensor."""
        return {name: node for node in self.nodes for name in node.output}

    def users(self, name: str) -> list[NodeProto]:
        """Return the nodes that read a tensor, in order."""
        return [node for node in self.nodes if name in node.input]

    def of_type(self, operator: str) -> list[NodeProto]:
        """Return all nodes of an operator, in order."""
        return [node for node in self.nodes if node.op_type == operator]

    def add_constant(self, name: str, values: Array) -> str:
        """Add a constant unless it is there; return its name."""
        fixed = np.asarray(values, order="C")  # ascontiguousarray would give a scalar an axis
        self.constants.setdefault(name, Constant(fixed.shape, fixed.dtype, lambda: fixed))
        return name

    def integers(self, *values: int) -> str:
        """Add a list of int64, as Reshape, Slice and Split take; return its name."""
        return self.add_constant(
            "integers." + "x".join(map(str, values)), np.array(values, np.int64)
        )

    def derive(
        self, name: str, source: str, shape: Sequence[int], change: Callable[[Array], Array]
    ) -> str:
        """Make a constant of `shape` by a function of another; return its name."""
        old = self.constants[source]
        self.constants[name] = Constant(tuple(shape), old.dtype, lambda: change(old.read()))
        return name

    def scale(self, name: str, factors: Array) -> None:
        """Multiply a constant in place by factors of its last axis."""
        shape = self.constants[name].shape
        self.derive(name, name, shape, lambda values: values * factors)

    def value(self, name: str) -> Array:
        """Return a constant's value."""
        return self.constants[name].read()

    def insert_before(self, node: NodeProto, new: NodeProto) -> None:
        """Put a new node before another."""
        self.nodes.insert(self._place(node), new)

    def replace(self, node: NodeProto, new: Sequence[NodeProto]) -> None:
        """Put new nodes in the place of one; they must compute its output."""
        place = self._place(node)
        self.nodes[place : place + 1] = new

    def substitute(self, old: str, new: str) -> None:
        """Let all users of one tensor read another."""
        for node in self.nodes:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new

    def save(self, data: DataFile) -> ModelProto:
        """Write the constants, a few at a time; return the model."""
        tensors = [
            data.defer(name, constant.dtype, constant.shape, constant.read)
            for name, constant in self.constants.items()
        ]
        return self._build(tensors, with_shapes=True)

    def _place(self, node: NodeProto) -> int:
        return next(index for index, other in enumerate(self.nodes) if other is node)

    def _inferred_shapes(self) -> dict[str, tuple[int, ...]]:
        tensors = [_outline(name, constant) for name, constant in self.constants.items()]
        inferred = onnx.shape_inference.infer_shapes(
            self._build(tensors, with_shapes=False), strict_mode=True
        ).graph
        known = [*inferred.input, *inferred.value_info, *inferred.output]
        shapes = {
            value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            for value in known
        }
        return shapes | {name: constant.shape for name, constant in self.constants.items()}

    def _build(self, tensors: Sequence[TensorProto], *, with_shapes: bool) -> ModelProto:
        graph = helper.make_graph(
            self.nodes,
            self._model.graph.name,
            [self.input],
            self.outputs,
            tensors,
            value_info=[*self._value_infos()] if with_shapes else [],
        )
        model = helper.make_model(
            graph,
            opset_imports=self._model.opset_import,
            ir_version=self._model.ir_version,
            producer_name=self._model.producer_name,
            producer_version=self._model.producer_version,
        )
        model.metadata_props.extend(self._model.metadata_props)
        return model

    def _value_infos(self) -> Iterator[onnx.ValueInfoProto]:
        ends = {value.name for value in self.outputs}
        for node in self.nodes:
            for name in node.output:
                if name not in ends:
                    yield helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])


def attribute(node: NodeProto, name: str) -> Any:
    """Return an attribute.

    Raises:
        ConversionError: the node has no attribute of that name.
    """
    for candidate in node.attribute:
        if candidate.name == name:
            return helper.get_attribute_value(candidate)
    raise ConversionError(f"{node.op_type} {node.name!r} has no attribute {name!r}.")


def _stored(network: Network, name: str) -> Constant:
    tensor = network.constants[name]
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return Constant(tuple(tensor.dims), dtype, lambda: np.asarray(network.array(name)))


def _outline(name: str, constant: Constant) -> TensorProto:
    """Return a tensor for shape inference: the values of small ones, only the form of others."""
    if prod(constant.shape) <= SMALL:
        return numpy_helper.from_array(constant.read(), name)
    kind = helper.np_dtype_to_tensor_dtype(constant.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=constant.shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="unwritten")
    return tensor
