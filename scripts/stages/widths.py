"""Widths of activations: what kinds of them there are, 16 bits for some, and a trial of any choice.

A trial network runs on the CPU: integer weights, and activations on grids that are inputs, so one
session tries any choice of widths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from scripts.stages import calibration, qdq, roles
from scripts.stages.encodings import Encoding, Encodings
from scripts.stages.onnx_network import Network

NARROW, WIDE = 8, 16
Features = NDArray[np.float32]


class Trial:
    """A network with 16-bit grids, whose activations' scales are given anew for every run."""

    def __init__(self, network: Path, encodings: Encodings, scratch: Path) -> None:
        """Write the trial's files into the folder `scratch`."""
        import onnxruntime

        wide = Encodings(at(encodings.activations, encodings.activations, WIDE), encodings.params)
        wide.save(scratch / "wide.json")
        path = scratch / "trial.onnx"
        qdq.insert(network, scratch / "wide.json", path)
        model = onnx.load(path, load_external_data=False)
        _free_grids(model, encodings.activations)
        onnx.save(model, path)
        options = calibration.cpu_options()
        # Fusing would round at other places than the HTP does.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(
        self, activations: Mapping[str, Encoding], pictures: Sequence[Features]
    ) -> Features:
        """Return the features of pictures with activations on the given grids."""
        feeds: dict[str, Any] = {}
        for name, encoding in activations.items():
            feeds[f"{name}.q.scale"] = np.array(encoding.scale, np.float32)
            feeds[f"{name}.q.zero"] = np.array(encoding.zero_point, np.uint16)
            low, high = encoding.range()
            feeds[f"{name}.low"] = np.array(low, np.float32)
            feeds[f"{name}.high"] = np.array(high, np.float32)
        source = next(one.name for one in self._session.get_inputs() if one.name not in feeds)
        return np.concatenate(
            [self._session.run(None, {source: picture, **feeds})[0] for picture in pictures]
        )


def at(activations: Mapping[str, Encoding], names: Iterable[str], bits: int) -> dict[str, Encoding]:
    """Return the encodings with those of some tensors at another width."""
    return {**activations, **{name: activations[name].at(bits) for name in names}}


def kinds(network: Network) -> dict[str, list[str]]:
    """Return the activations by what writes and what reads them, movers seen through."""
    producers, source = network.producers(), quantized_as(network)
    readers: dict[str, set[str]] = {name: set() for name in source.values()}
    for node in network.graph.node:
        if node.op_type not in roles.MOVERS:
            for name in filter(source.get, node.input):
                readers[source[name]].add(_operation(node))
    made: dict[str, list[str]] = {}
    for name, reading in readers.items():
        writer = _operation(producers[name]) if name in producers else "input"
        kind = f"{writer} to {' and '.join(sorted(reading)) or 'output'}"
        made.setdefault(kind, []).append(name)
    return made


def _operation(node: onnx.NodeProto) -> str:
    return "Norm" if node.op_type in roles.NORMS else node.op_type


def quantized_as(network: Network) -> dict[str, str]:
    """Return for every activation the one whose encoding it shares, usually itself."""
    source = {network.graph.input[0].name: network.graph.input[0].name}
    for node in network.graph.node:
        for name in filter(None, node.output):
            first = node.input[0]
            moved = node.op_type in roles.MOVERS and first in source
            source[name] = source[first] if moved else name
    return source


def raised(network: Network, encodings: Encodings, chosen: Iterable[str]) -> Encodings:
    """Return encodings that give some activations 16 bits, from their writers to their readers.

    An operator works at its output's width, so what reads such an activation writes 16 bits, too.
    """
    chosen, source = set(chosen), quantized_as(network)
    wide = set(chosen)
    operands: set[str] = set()
    for node in network.graph.node:
        reads = chosen.intersection(source[name] for name in node.input if name in source)
        if reads or source[node.output[0]] in wide:
            wide.update(source[name] for name in node.output)
            operands.update(
                name
                for index, name in enumerate(node.input)
                if network.is_float(name) and roles.role(node, index) is roles.Role.OPERAND
            )
    names = [name for name, first in source.items() if first in wide]
    return Encodings(at(encodings.activations, names, WIDE), at(encodings.params, operands, WIDE))


def _free_grids(model: onnx.ModelProto, activations: Mapping[str, Encoding]) -> None:
    """Turn the scales and zero points of activations into inputs, and clip to their range.

    The integers have 16 bits whatever the grid, so clipping at 8 bits needs an operator.
    """
    floats, integers = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT16
    parts = {".q.scale": floats, ".q.zero": integers, ".low": floats, ".high": floats}
    free = {name + part: kind for name in activations for part, kind in parts.items()}
    kept = [one for one in model.graph.initializer if one.name not in free]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    make = onnx.helper.make_tensor_value_info
    model.graph.input.extend(make(name, kind, []) for name, kind in free.items())
    nodes = []
    for node in model.graph.node:
        name = node.name.removesuffix(".q")
        if node.op_type == "QuantizeLinear" and name in activations:
            clipped = f"{name}.clipped"
            limits = [node.input[0], f"{name}.low", f"{name}.high"]
            nodes.append(onnx.helper.make_node("Clip", limits, [clipped]))
            node.input[0] = clipped
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
