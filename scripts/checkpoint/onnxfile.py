"""Write an ONNX network and its weights, tensor by tensor, with the same bytes every time.

Shapes alone decide the layout of the data file. So tensors are read, transposed and written in
parallel, each at its place, and memory never holds more than a few of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from openqnn.network.onnx_network import ALIGNMENT
from openqnn.progress import track
from scripts import __version__
from scripts.checkpoint.tensors import Weights
from scripts.checkpoint.trace import INPUT, OPSET, Graph

IR_VERSION = 10
PRODUCER = "dinov3-qnn"
# Rows transposed at a time: a block of them stays in the processor's cache.
BLOCK = 64


@dataclass(frozen=True)
class Placed:
    """A weight: its shape as the graph reads it, and its first byte in the data file."""

    name: str
    shape: tuple[int, ...]
    transposed: bool
    offset: int

    @property
    def length(self) -> int:
        """Its size in bytes, being float32."""
        return prod(self.shape) * 4


def layout(graph: Graph) -> list[Placed]:
    """Return the place of every weight, in the order in which the network uses them."""
    placed, end = [], 0
    used = dict.fromkeys(name for node in graph.nodes for name in node.input)
    for name in (name for name in used if name in graph.parameters):
        offset = -(-end // ALIGNMENT) * ALIGNMENT
        placed.append(Placed(name, graph.shapes[name], graph.parameters[name], offset))
        end = offset + placed[-1].length
    return placed


def write_weights(path: Path, placed: Sequence[Placed], weights: Weights) -> str:
    """Write the data file; return a digest of the float32 weights.

    Raises:
        OSError: there is no space for all of it, which is checked before anything is written.
    """
    digests = []
    with path.open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        os.posix_fallocate(file.fileno(), 0, placed[-1].offset + placed[-1].length)
        futures = [pool.submit(_put, file.fileno(), weight, weights) for weight in placed]
        try:
            digests = [future.result() for future in track(futures, "weights")]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    lines = [f"{weight.name} {digest}\n" for weight, digest in zip(placed, digests, strict=True)]
    return sha256("".join(sorted(lines)).encode()).hexdigest()


def build(
    graph: Graph, placed: Sequence[Placed], data: str, metadata: Mapping[str, str]
) -> ModelProto:
    """Return the model, its weights in the file `data` beside it; without time or place."""
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    inner = [name for node in graph.nodes for name in node.output if name not in graph.outputs]
    network = helper.make_graph(
        graph.nodes,
        PRODUCER,
        [_value(graph, INPUT)],
        [_value(graph, name) for name in graph.outputs],
        [_external(weight, data) for weight in placed] + constants,
        value_info=[_value(graph, name) for name in inner],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        network,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(sorted(metadata.items())))
    return model


def _put(descriptor: int, weight: Placed, weights: Weights) -> str:
    values = weights.read(weight.name)
    digest = sha256(f"{list(values.shape)}".encode())
    digest.update(_bytes(values))
    turned = _bytes(_transpose(values) if weight.transposed else values)
    done = 0
    while done < weight.length:
        done += os.pwrite(descriptor, turned[done:], weight.offset + done)
    return digest.hexdigest()


def _bytes(values: NDArray[np.float32]) -> memoryview:
    return values.reshape(-1).view(np.uint8).data


def _transpose(values: NDArray[np.float32]) -> NDArray[np.float32]:
    turned = np.empty(values.shape[::-1], np.float32)
    for start in range(0, len(values), BLOCK):
        turned[:, start : start + BLOCK] = values[start : start + BLOCK].T
    return turned


def _external(weight: Placed, data: str) -> TensorProto:
    tensor = TensorProto(name=weight.name, data_type=TensorProto.FLOAT, dims=weight.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", data), ("offset", weight.offset), ("length", weight.length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _value(graph: Graph, name: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, graph.shapes[name])
