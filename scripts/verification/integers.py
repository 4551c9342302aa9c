"""The integer network on the CPU: what the compiler gets, operator by operator.

It is bit-close to the HTP simulator and some twenty times as fast, so many pictures can be judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from openqnn.network.onnx_network import DataFile, Network, SharedConstants
from openqnn.network.relay import DOMAIN
from openqnn.quantization import qdq
from openqnn.quantization.observe import Observer
from scripts.byte_sums import BYTE, Layer, Layers, high_bytes, low_bytes
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
    """Return the network with its linear layers in integers.

    Other constants become the numbers that their integers stand for:
    `DequantizeLinear(q, s, z) -> (q - z) * s`, the same float32 arithmetic, once instead of once a
    picture.
    """
    constants, rest = dict[str, NodeProto](), list[NodeProto]()
    shared = SharedConstants()
    for node in _in_bytes(network, shared):
        if node.op_type == "DequantizeLinear" and node.input[0] in network.constants:
            constants[node.output[0]] = node
        else:
            rest.append(node)
    read = {name for node in rest for name in node.input}
    constants = {name: node for name, node in constants.items() if name in read}
    with DataFile(data_path) as data:
        floats = [_deferred(network, node, data) for node in constants.values()]
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(rest)
    others = (tensor for name, tensor in network.constants.items() if name in read)
    model.graph.initializer.extend([*others, *shared.tensors, *floats])
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return Network(model, data_path.parent)


def _in_bytes(network: Network, constants: SharedConstants) -> Iterator[NodeProto]:
    """Yield the nodes of a network, its linear layers as products of bytes (`byte_sums`)."""
    layers = Layers(network, constants)
    for node in network.graph.node:
        if layer := layers.layer(node):
            yield from _sums(network, layers, layer)
        else:
            yield node


def _sums(network: Network, layers: Layers, layer: Layer) -> Iterator[NodeProto]:
    integers, scale, zero = layer.source.input
    out, offset = layer.node.output[0], network.array(zero)
    if offset.dtype == np.uint8:
        yield layers.product(layer, integers, scale, zero, out, layer.biases)
        return
    high, low = divmod(int(offset), BYTE)
    step = np.float32(network.array(scale))
    for what, split, byte, unit, bias in (
        ("high", high_bytes, high, step * np.float32(BYTE), []),
        ("low", low_bytes, low, step, layer.biases),
    ):
        rows = f"{out}.{what}"
        yield from split(layers, integers, rows)
        grid = layers.constant(unit, np.float32), layers.constant(byte, np.uint8)
        yield layers.product(layer, rows, *grid, f"{rows}.sums", bias)
    yield helper.make_node("Add", [f"{out}.high.sums", f"{out}.low.sums"], [out])


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
