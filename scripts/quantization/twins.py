"""Shallow twins of a quantised network: a few of its layers, for the compiler to tell their time.

Layer i of a transformer reads the stream s[i] and writes s[i + 1], all of one shape. So any layers
can be put one behind the other: a twin lets the nodes of layer i read what the layer chosen before
it writes, and the last norm what the last one writes. Nothing else is changed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import onnx

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization.encodings import Encoding, Encodings
from openqnn.quantization.qdq import encoded_constants

# The simulated milliseconds of a quantised network in a file, given its encodings.
Simulate = Callable[[Path, Encodings], float]
# Layers of a twin; they are spread over the depth.
LAYERS = 3
# What milliseconds of twins are, and what those of whole networks.
PART = f"simulated, at most {LAYERS} layers"
WHOLE = "simulated, the whole network"
NORMS_A_LAYER = 2


def twin(network: Network, encodings: Encodings) -> tuple[Network, Encodings]:
    """Return `LAYERS` layers of a network, with their encodings; all if it has no more."""
    norms = (node for node in network.graph.node if node.op_type in roles.NORMS)
    # What two norms read has one in it that leads to an output.
    streams = [*dict.fromkeys(node.input[0] for node in norms)]
    starts = streams[::NORMS_A_LAYER]
    depth = len(starts) - 1
    if depth <= LAYERS or len(streams) != NORMS_A_LAYER * depth + 1:
        return network, encodings
    layers = [round(place * (depth - 1) / (LAYERS - 1)) for place in range(LAYERS)]
    # What is read at the start of a layer, and at the end: what the layer before it wrote.
    ends = [*layers, depth]
    written = [starts[0], *(starts[layer + 1] for layer in layers)]
    moved = {starts[end]: source for end, source in zip(ends, written, strict=True)}
    return _restricted(network, encodings, moved, written[-1])


class Clock:
    """Tells the simulated time of twins; `data` is the file of the network's weights."""

    def __init__(self, simulate: Simulate, data: Path) -> None:
        self._simulate, self._data = simulate, data

    def __call__(self, network: Network, encodings: Encodings) -> float:
        """Return the milliseconds of a network's twin."""
        return self.whole(*twin(network, encodings))

    def whole(self, network: Network, encodings: Encodings) -> float:
        """Return the milliseconds of a network."""
        with tempfile.TemporaryDirectory(dir=self._data.parent) as folder:
            path = Path(folder) / "simulated.onnx"
            if self._data.exists():
                os.link(self._data, path.parent / self._data.name)
            onnx.save(network.model, path)
            return self._simulate(path, encodings)


def _restricted(
    network: Network, encodings: Encodings, moved: dict[str, str], last: str
) -> tuple[Network, Encodings]:
    """Return what of a network its outputs need, once nodes read some tensors for others.

    Outputs that are not computed of the tensor `last` are left out.
    """
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    for node in model.graph.node:
        node.input[:] = [moved.get(name, name) for name in node.input]
    ends = [value for value in model.graph.output if value.name in _after(model, last)]
    del model.graph.output[:]
    model.graph.output.extend(ends)
    needed, nodes = {value.name for value in ends}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    constants = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes[::-1])
    model.graph.initializer.extend(constants)
    made = Network(model, network.folder)
    return made, Encodings(
        _only(encodings.activations, set(made.float_tensors())),
        _only(encodings.params, encoded_constants(made)),
    )


def _after(model: onnx.ModelProto, source: str) -> set[str]:
    """Return all that is computed of a tensor."""
    names = {source}
    for node in model.graph.node:
        if names.intersection(node.input):
            names.update(node.output)
    return names


def _only(entries: Mapping[str, Encoding], names: Collection[str]) -> dict[str, Encoding]:
    return {name: entry for name, entry in entries.items() if name in names}
