"""The integer network on the CPU: what the compiler gets, operator by operator.

It is bit-close to the HTP simulator and some twenty times as fast, so many pictures can be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from openqnn.network.onnx_network import DataFile, Network
from openqnn.quantization import qdq
from openqnn.quantization.observe import Observer
from scripts.metrics import Features
from scripts.verification import layers as stream

_FILE = "integers.onnx"


def outputs(
    network: Path, encodings: Path, pictures: Sequence[Path], scratch: Path
) -> dict[str, Features]:
    """Return the outputs for raw files, by name; the folder `scratch` holds the weights meanwhile.

    Raises:
        Refused: the encodings are not the network's.
    """
    path = scratch / _FILE
    qdq.insert(network, encodings, path)
    integers = unpacked(Network.load(path), scratch / "unpacked.onnx_data")
    observer, names = Observer(integers), [value.name for value in integers.graph.output]
    for name in names:
        observer.add_output(name)
    values = observer.collect(pictures, "integer network")
    return {name: np.concatenate(values[name]) for name in names}


def layers(network: Path, pictures: Sequence[Path], scratch: Path) -> list[dict[str, Any]]:
    """Return the residual stream's likeness to float32, after `outputs` used the same folder."""
    return stream.compare(Network.load(network), Network.load(scratch / _FILE), pictures)


def unpacked(network: Network, data_path: Path) -> Network:
    """Return the network with constants as the numbers that their integers stand for.

    `DequantizeLinear(q, s, z) -> (q - z) * s`, the same float32 arithmetic, once instead of once a
    picture: for weights that takes as long as multiplying by them.
    """
    constants, rest = dict[str, NodeProto](), list[NodeProto]()
    for node in network.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in network.constants:
            constants[node.output[0]] = node
        else:
            rest.append(node)
    with DataFile(data_path) as data:
        floats = [_deferred(network, node, data) for node in constants.values()]
    packed = {node.input[0] for node in constants.values()}
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(rest)
    others = (tensor for name, tensor in network.constants.items() if name not in packed)
    model.graph.initializer.extend([*others, *floats])
    return Network(model, data_path.parent)


def _deferred(network: Network, node: NodeProto, data: DataFile) -> onnx.TensorProto:
    shape = tuple(network.constants[node.input[0]].dims)
    numbers = partial(_numbers, network, node)
    return data.defer(node.output[0], np.dtype(np.float32), shape, numbers)


def _numbers(network: Network, node: NodeProto) -> NDArray[Any]:
    integers, scale, zero = (np.asarray(network.array(name)) for name in node.input)
    if scale.ndim:
        axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 1)
        across = [-1 if place == axis else 1 for place in range(integers.ndim)]
        scale, zero = scale.reshape(across), zero.reshape(across)
    steps = (integers.astype(np.int32) - zero.astype(np.int32)).astype(np.float32)
    return np.asarray(steps * scale.astype(np.float32))
