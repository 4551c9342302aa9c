"""Finds which channels of a network may be scaled without changing what it computes.

A factor on an output channel of a linear layer or a LayerNorm may pass through reshapes, rotary
embeddings, products and attention, and is undone by the rows of the layers that read it. Every
channel is a variable; operators tie variables together, invert them, or pin them to 1. Told by
structure alone, so it holds for any form that a lowering gives the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from onnx.reference import ReferenceEvaluator

from openqnn.network import roles
from openqnn.network.onnx_network import Network

# Labels of a tensor's channels: variables, `FIXED` where there is none; of the tensor's rank, with
# extent 1 along axes over which they do not vary. None stands for FIXED everywhere.
Labels = NDArray[np.int64] | None
FIXED = -1
EVALUATED = (*sorted(roles.MOVERS - {"Gather"}), "Concat")


@dataclass(frozen=True)
class Carrier:
    """A constant, input `index` of `node`, that takes its labels' factors to `power`, 1 or -1."""

    node: NodeProto
    index: int
    labels: NDArray[np.int64]
    power: int


class Variables:
    """Factors tied to one another as equal (1) or reciprocal (-1), or pinned to 1."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._power: list[int] = []
        self._pinned: list[bool] = []
        self.blocks: list[NDArray[np.int64]] = []
        self._resolved: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def new(self, count: int) -> NDArray[np.int64]:
        """Return new variables."""
        self._resolved = None
        first = self.count
        self._parent += range(first, first + count)
        self._power += [1] * count
        self._pinned += [False] * count
        self.blocks.append(np.arange(first, first + count))
        return self.blocks[-1]

    @property
    def count(self) -> int:
        """Return how many variables there are."""
        return len(self._parent)

    def root(self, variable: int) -> tuple[int, int]:
        """Return the variable that stands for this one, and the power that relates them."""
        path, power = [], 1
        while self._parent[variable] != variable:
            path.append(variable)
            variable = self._parent[variable]
        for passed in reversed(path):
            power *= self._power[passed]
            self._parent[passed], self._power[passed] = variable, power
        return variable, power

    def tie(self, variable: int, other: int, power: int) -> None:
        """Make one variable another's `power`; one tied to its own reciprocal is 1."""
        self._resolved = None
        if FIXED in (variable, other):
            self.pin(np.array([variable, other]))
            return
        (a, to_a), (b, to_b) = self.root(variable), self.root(other)
        if a == b:
            self._pinned[a] |= to_a * to_b != power
            return
        self._parent[a], self._power[a] = b, to_a * to_b * power
        self._pinned[b] |= self._pinned[a]

    def pin(self, labels: Labels) -> None:
        """Fix variables at 1."""
        self._resolved = None
        for variable in [] if labels is None else np.unique(labels):
            if variable != FIXED:
                self._pinned[self.root(int(variable))[0]] = True

    def free(self, labels: Labels) -> bool:
        """Tell whether any of the labels is not pinned."""
        variables = () if labels is None else np.unique(labels).tolist()
        return any(v != FIXED and not self._pinned[self.root(int(v))[0]] for v in variables)

    def resolve(self, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return every label's free root, FIXED where it is pinned, and its power."""
        if self._resolved is None:
            self._resolved = self._all()
        roots, powers = self._resolved
        known = labels != FIXED
        return np.where(known, roots[labels], FIXED), np.where(known, powers[labels], 1)

    def _all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the free root and the power of every variable, and of none."""
        roots, powers = np.full(self.count + 1, FIXED), np.ones(self.count + 1, np.int64)
        for variable in range(self.count):
            root, powers[variable] = self.root(variable)
            roots[variable] = FIXED if self._pinned[root] else root
        return roots, powers


class Scaling:
    """The channels of a network that may be scaled."""

    def __init__(self, network: Network) -> None:
        self.variables = Variables()
        self.carriers: list[Carrier] = []
        self.labels: dict[str, NDArray[np.int64]] = {}
        self._network = network
        self._shapes = network.shapes()
        for node in network.graph.node:
            self._visit(node)
        for output in network.graph.output:
            self.variables.pin(self._of(output.name))

    def readers(self) -> list[Carrier]:
        """Return the weights that undo factors of their inputs."""
        return [carrier for carrier in self.carriers if carrier.power == -1]

    def sites(self) -> list[NDArray[np.int64]]:
        """Return the free roots, those of one layer's outputs together, each once."""
        listed: set[int] = set()
        sites = []
        for block in self.variables.blocks:
            roots = {*self.variables.resolve(block)[0].tolist()} - listed - {FIXED}
            listed |= roots
            sites.append(np.array(sorted(roots), np.int64))
        return sites

    def axes(self, tensor: str) -> list[int]:
        """Return the axes along which a tensor's factors are the same; [] if it has none."""
        labels = self._of(tensor)
        return [] if labels is None else [i for i, extent in enumerate(labels.shape) if extent == 1]

    def _of(self, name: str) -> Labels:
        labels = self.labels.get(name)
        return labels if self.variables.free(labels) else None

    def _constant(self, name: str) -> bool:
        return name in self._network.constants

    def _visit(self, node: NodeProto) -> None:
        inputs = [self._of(name) for name in node.input]
        handlers = {
            "Add": self._add,
            "Conv": self._linear,
            "Gemm": self._linear,
            "MatMul": self._matmul,
            "Mul": self._mul,
            "Neg": lambda node, inputs: inputs[0],
            "Sub": self._add,
            **dict.fromkeys(roles.NORMS, self._norm),
        }
        if node.op_type in EVALUATED:
            self._evaluate(node, inputs)
            return
        handler = handlers.get(node.op_type, self._pin)
        labels = handler(node, inputs)
        if labels is not None:
            rank = len(self._shapes[node.output[0]])
            self.labels[node.output[0]] = labels.reshape(
                [1] * (rank - labels.ndim) + [*labels.shape]
            )

    def _pin(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        for labels in inputs:
            self.variables.pin(labels)
        return None

    def _evaluate(self, node: NodeProto, inputs: Sequence[Labels]) -> None:
        """Move the labels as the operator moves the values."""
        if all(labels is None for labels in inputs):
            return
        feeds = {}
        for name, labels in zip(node.input, inputs, strict=True):
            if self._constant(name) and not self._network.is_float(name):
                feeds[name] = np.asarray(self._network.array(name))
            elif name:
                full = FIXED if labels is None else labels
                feeds[name] = np.broadcast_to(full, self._shapes[name]).copy()
        moved = ReferenceEvaluator(node).run(None, feeds)
        for name, labels in zip(node.output, moved, strict=True):
            self.labels[name] = _compress(np.asarray(labels, np.int64))

    def _add(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        for index in (0, 1):
            labels = inputs[1 - index]
            if labels is not None and self._constant(node.input[index]):
                return self._carry_along(node, index, labels)
        left, right = inputs
        if left is None or right is None or left.ndim != right.ndim:
            return self._pin(node, inputs)
        pairs = np.broadcast_arrays(left, right)
        for a, b in {*zip(pairs[0].ravel().tolist(), pairs[1].ravel().tolist(), strict=True)}:
            self.variables.tie(a, b, 1)
        return pairs[0].copy()

    def _carry_along(self, node: NodeProto, index: int, labels: NDArray[np.int64]) -> Labels:
        """Scale a constant that is added, if it has an element for every label."""
        shape = self._network.constants[node.input[index]].dims
        aligned = labels.reshape(labels.shape[labels.ndim - len(shape) :])
        if aligned.size != labels.size or np.broadcast_shapes(shape, aligned.shape) != (*shape,):
            return self._pin(node, [labels])
        self.carriers.append(Carrier(node, index, aligned, 1))
        return labels

    def _mul(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        left, right = inputs
        if left is not None and right is not None:
            self.variables.pin(left)
            left = None
        return right if left is None else left

    def _norm(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        self.variables.pin(inputs[0])
        rank = len(self._shapes[node.input[0]])
        if roles.attribute(node, "axis", -1) not in (-1, rank - 1):
            return None
        channels = self.variables.new(self._shapes[node.input[0]][-1])
        self.carriers += [Carrier(node, index, channels, 1) for index in range(1, len(node.input))]
        return channels.reshape([1] * (rank - 1) + [-1])

    def _linear(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        """Undo the input's factors in a weight's rows; give its columns new variables."""
        weight = node.input[1]
        if not self._constant(weight) or roles.attribute(node, "group", 1) != 1:
            return self._pin(node, inputs)
        rank = len(self._network.constants[weight].dims)
        output = roles.output_axis(node, rank)
        over = 1 - output  # of a weight's first two axes, one is for outputs and one for inputs
        self._absorb(node, inputs[0], over, rank)
        columns = self.variables.new(self._network.constants[weight].dims[output])
        self.carriers.append(Carrier(node, 1, _along(columns, output, rank), 1))
        if len(node.input) > 2:
            self.carriers.append(Carrier(node, 2, columns, 1))
        channel = 1 if node.op_type == "Conv" else len(self._shapes[node.output[0]]) - 1
        return _along(columns, channel, len(self._shapes[node.output[0]]))

    def _absorb(self, node: NodeProto, labels: Labels, over: int, rank: int) -> None:
        if labels is None:
            return
        channel = 1 if node.op_type == "Conv" else labels.ndim - 1
        if labels.size != labels.shape[channel] or labels.size == 1:
            self.variables.pin(labels)
            return
        self.carriers.append(Carrier(node, 1, _along(labels.ravel(), over, rank), -1))

    def _matmul(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        if self._constant(node.input[1]) and len(self._network.constants[node.input[1]].dims) == 2:
            return self._linear(node, inputs)
        left, right = inputs
        inner = left is not None and left.shape[-1] > 1, right is not None and right.shape[-2] > 1
        if all(inner):
            return self._contract(node, inputs)
        if any(inner) or (left is not None and right is not None):
            return self._pin(node, inputs)
        return left if right is None else right

    def _contract(self, node: NodeProto, inputs: Sequence[Labels]) -> Labels:
        """Tie the factors of two tensors that are summed over as reciprocals."""
        left, right = inputs
        if left is None or right is None or left.shape[-2] > 1 or right.shape[-1] > 1:
            return self._pin(node, inputs)
        pairs = np.broadcast_arrays(left, np.swapaxes(right, -1, -2))
        for a, b in {*zip(pairs[0].ravel().tolist(), pairs[1].ravel().tolist(), strict=True)}:
            self.variables.tie(a, b, -1)
        return None


def _along(labels: NDArray[np.int64], axis: int, rank: int) -> NDArray[np.int64]:
    return labels.reshape([-1 if place == axis else 1 for place in range(rank)])


def _compress(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    for axis in range(labels.ndim):
        first = labels.take([0], axis)
        if (labels == first).all():
            labels = first
    return labels
