"""A quantised network on the CPU, whose activations' widths are chosen anew for every run.

Weights are integers. Every activation has an 8-bit and a 16-bit grid, and an input tells which to
take, so one session tries any choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from openqnn.network import pieces
from openqnn.network.onnx_network import Network, SharedConstants
from openqnn.network.relay import PIECE, Relay, Runner
from openqnn.quantization import qdq, recipe, sharing
from openqnn.quantization.encodings import Encoding, Encodings
from scripts.metrics import Features
from scripts.quantization import widths
from scripts.quantization.widths import NARROW, WIDE

CHOICE = "trial.wide"
ENDS = "low", "high"


class Trial:
    """A network to be run with any of its activations at 16 bits, and the others at 8."""

    def __init__(self, path: Path, encodings: Encodings, scratch: Path) -> None:
        """Write the trial's files into the folder `scratch`."""
        network = Network.load(path)
        source = sharing.quantized_as(network)
        self._tensors = [name for name in source if source[name] == name]
        everything = widths.at(encodings.activations, source, WIDE)
        # Weights have scales for biases in the units of 16-bit inputs, whatever is chosen later.
        widest = recipe.fitted(network, Encodings(everything, encodings.params))
        model = qdq.write(network, widest, scratch / "trial.onnx")
        _Switch(model, {name: encodings.activations[name] for name in self._tensors}).install()
        integers = Network(model, scratch)
        extractor = pieces.Extractor(integers)
        self._runners = [
            Runner(piece, extractor.model(piece), scratch) for piece in pieces.cut(integers, PIECE)
        ]

    def __call__(self, wide: Collection[str], pictures: Sequence[Features]) -> Features:
        """Return the features of pictures [1, 3, height, width], some activations at 16 bits."""
        choice = np.array([name in wide for name in self._tensors])
        relay = Relay(pictures, {CHOICE: choice})
        for runner in self._runners:
            deque(relay.through(runner), maxlen=0)
        return np.concatenate(relay.values)


class _Switch:
    """Gives the activations' quantisers a second grid, and an input to choose by."""

    def __init__(self, model: onnx.ModelProto, activations: dict[str, Encoding]) -> None:
        self._model, self._activations = model, activations
        self._constants = SharedConstants()
        self._quantizers = {
            node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"
        }

    def install(self) -> None:
        graph = self._model.graph
        nodes = [made for node in graph.node for made in self._rewritten(node)]
        del graph.node[:]
        graph.node.extend([*self._choices(), *nodes])
        graph.initializer.extend(self._constants.tensors)
        count = [len(self._activations)]
        graph.input.append(helper.make_tensor_value_info(CHOICE, onnx.TensorProto.BOOL, count))

    def _choices(self) -> Iterator[NodeProto]:
        """Choose scales and zero points by the input, which has a flag for every tensor."""
        for index, (name, encoding) in enumerate(self._activations.items()):
            flag = f"{name}.is_wide"
            yield helper.make_node("Gather", [CHOICE, self._constant(np.int64(index))], [flag])
            wide, narrow = encoding.anew(WIDE), encoding.anew(NARROW)
            yield self._choice(flag, f"{name}.scale", np.float32, (wide.scale, narrow.scale))
            number = f"{name}.zero.number"
            yield self._choice(flag, number, np.int64, (wide.zero_point, narrow.zero_point))
            for end, pair in zip(ENDS, zip(wide.range(), narrow.range(), strict=True), strict=True):
                yield self._choice(flag, f"{name}.{end}", np.float32, pair)
            integer = onnx.TensorProto.UINT16
            yield helper.make_node("Cast", [number], [f"{name}.zero"], to=integer)

    def _choice(self, flag: str, name: str, kind: type, values: tuple[float, float]) -> NodeProto:
        pair = [self._constant(kind(value)) for value in values]
        return helper.make_node("Where", [flag, *pair], [name])

    def _rewritten(self, node: NodeProto) -> Iterator[NodeProto]:
        name = node.output[0].removesuffix(".q")
        if node.op_type == "QuantizeLinear" and name in self._activations:
            # The integers have 16 bits whatever the grid, so clipping at 8 needs an operator.
            limits = [f"{name}.{end}" for end in ENDS]
            yield helper.make_node("Clip", [node.input[0], *limits], [f"{name}.clipped"])
            node.input[:] = [f"{name}.clipped", f"{name}.scale", f"{name}.zero"]
            yield node
        elif node.op_type == "DequantizeLinear" and node.input[0] in self._quantizers:
            name = node.input[0].removesuffix(".q")
            if name in self._activations:
                node.input[1:] = [f"{name}.scale", f"{name}.zero"]
                yield node
            else:  # moved values are on their source's grid already
                moved = self._quantizers[node.input[0]].input[0]
                yield helper.make_node("Identity", [moved], node.output)
        elif node.op_type != "QuantizeLinear":
            yield node

    def _constant(self, values: Any) -> str:
        return self._constants.name(np.asarray(values), "trial")
