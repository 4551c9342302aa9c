"""Linear layers of a trial in integers (`byte_sums`): their input has 8 or 16 bits, as it is told.

A product of bytes has one zero point for all rows. So high and low bytes go one below the other,
with zh for both, and what the low ones are off by is the same for every token:

    sum (l - zl) q = sum (l - zh) q + (zh - zl) sum q.

With 8 bits there are no high bytes, and zl is the zero point for all: no row more is multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper

from openqnn.network.onnx_network import Network, SharedConstants
from scripts import byte_sums
from scripts.byte_sums import BYTE, Layer, Layers

# More rows than there are.
ALL = np.iinfo(np.int64).max


class SwitchedSums:
    """Rewrites the linear layers of a trial's network, whose quantisers can switch grids."""

    def __init__(self, network: Network, constants: SharedConstants) -> None:
        self._layers = Layers(network, constants)
        self._shapes = network.shapes()
        self._totals: dict[str, str] = {}
        self._split: set[str] = set()

    def reads(self, node: NodeProto) -> str:
        """Return the activation that a plain linear layer reads; of other nodes none."""
        layer = self._layers.layer(node)
        return _activation(layer) if layer else ""

    def rewritten(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield the nodes that compute a plain linear layer."""
        layer = self._layers.layer(node)
        assert layer
        name, out = _activation(layer), node.output[0]
        if name not in self._split:
            self._split.add(name)
            yield from self._bytes(name)
        totals = self._total(layer)
        sums = f"{out}.sums"
        rows, scale, zero = f"{name}.bytes", f"{name}.scale", f"{name}.byte_zero"
        yield self._layers.product(layer, rows, scale, zero, sums)
        yield helper.make_node("Reshape", [sums, f"{name}.parts"], [f"{out}.parts"])
        yield helper.make_node("MatMul", [f"{name}.powers", f"{out}.parts"], [f"{out}.joined"])
        shape = self._layers.constant(self._shapes[out])
        yield helper.make_node("Reshape", [f"{out}.joined", shape], [f"{out}.product"])
        yield from self._added(layer, f"{name}.lift", totals)

    def _added(self, layer: Layer, lift: str, totals: str) -> Iterator[NodeProto]:
        """Yield the nodes that add what low bytes are off by, and the bias."""
        out = layer.node.output[0]
        term = f"{out}.lift"
        yield helper.make_node("Mul", [lift, totals], [term])
        for bias in layer.biases:
            yield helper.make_node("Add", [bias, term], [f"{out}.shift"])
            term = f"{out}.shift"
        yield helper.make_node("Add", [f"{out}.product", term], [out])

    def _bytes(self, name: str) -> Iterator[NodeProto]:
        """Yield the nodes that split an activation's integers, and what they take."""
        yield self._choice(name, "rows", [ALL], [0])
        yield self._choice(name, "parts", [2, -1], [1, -1])
        yield self._choice(name, "count", [2], [1])
        constant = self._layers.constant
        powers = [constant([[1, BYTE]], np.float32), constant([0]), f"{name}.count", constant([1])]
        yield helper.make_node("Slice", powers, [f"{name}.powers"])
        yield from self._rows(name)
        yield from self._zeros(name)

    def _choice(
        self, name: str, what: str, wide: Sequence[int], narrow: Sequence[int]
    ) -> NodeProto:
        pair = [self._layers.constant(values) for values in (wide, narrow)]
        return helper.make_node("Where", [f"{name}.is_wide", *pair], [f"{name}.{what}"])

    def _rows(self, name: str) -> Iterator[NodeProto]:
        """Yield the nodes that put high bytes below low ones; narrow integers have none."""
        integers, first = f"{name}.q", self._layers.constant([0])
        low, high = f"{name}.low_bytes", f"{name}.high_bytes"
        yield from byte_sums.low_bytes(self._layers, integers, low)
        rows = [integers, first, f"{name}.rows", first]
        yield helper.make_node("Slice", rows, [f"{high}.rows"])
        yield from byte_sums.high_bytes(self._layers, f"{high}.rows", high)
        yield helper.make_node("Concat", [low, high], [f"{name}.bytes"], axis=0)

    def _zeros(self, name: str) -> Iterator[NodeProto]:
        """Yield the nodes of all bytes' zero point, and of what low ones are off by, in reals."""
        zero, high, low = f"{name}.zero.number", f"{name}.zero.high", f"{name}.zero.low"
        base, used, off = self._layers.constant(BYTE), f"{name}.zero.used", f"{name}.zero.off"
        yield helper.make_node("Div", [zero, base], [high])
        yield helper.make_node("Mod", [zero, base], [low])
        yield helper.make_node("Where", [f"{name}.is_wide", high, low], [used])
        yield byte_sums.cast(used, f"{name}.byte_zero", TensorProto.UINT8)
        yield helper.make_node("Sub", [used, low], [off])
        yield byte_sums.cast(off, f"{off}.number", TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{off}.number", f"{name}.scale"], [f"{name}.lift"])

    def _total(self, layer: Layer) -> str:
        """Return the name of the sums of a weight's integers over inputs, in its scales."""
        name = layer.weight.input[0]
        if name not in self._totals:
            totals = self._layers.integers(layer).sum(axis=0, dtype=np.int64)
            scaled = totals * self._layers.scales(layer)
            self._totals[name] = self._layers.constant(scaled, np.float32)
        return self._totals[name]


def _activation(layer: Layer) -> str:
    return layer.source.input[0].removesuffix(".q")
