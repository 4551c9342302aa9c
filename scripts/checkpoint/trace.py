"""The graph that PyTorch's exporter writes for DINOv3, traced on two layers instead of all.

Why two layers are enough. The network is y = N(L_n-1(... L_1(L_0(E(x))))): an embedding E from
pixels [1, 3, height, width] to tokens [1, tokens, width], layers L_i from [1, tokens, width] to the
same shape, and a last norm N. All L_i run the same code and differ in their parameters alone. The
rotary tables [patches, head size] are computed once and read by every layer. So a trace of n layers
is E, n copies of one list of nodes with other names, and N. A twin with two layers and random
weights goes through `torch.onnx.export`:

1. L_0 is special: its input is the output of E. L_1 reads the output of a layer, as all later ones.
2. `stamp` repeats the nodes of L_1. Copy k is L_1 with `layer.<i>.` renamed to `layer.<i+k>.` in
   every name: its input `layer.0.*` becomes `layer.<k>.*`, the output of the copy before it.
3. N follows L_1 in the twin; its names are renamed by the last k, so it reads the last copy.
4. The exporter renames parameters, folds them and transposes them. Random weights differ, so the
   first numbers of a constant identify the parameter: a traced constant that equals a parameter
   of the twin, or its transpose, is that parameter. `_check` refuses a graph that lacks one.

`export --check` compares the result with torch for the real depth.
"""

from __future__ import annotations

import ast
import copy
import logging
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from scripts.checkpoint import dinov3, rope
from scripts.checkpoint.tensors import OPTIONAL, plain_name
from scripts.errors import ConversionError
from scripts.picture_size import PictureSize

OPSET = 21
INPUT, OUTPUT = "pixel_values", "last_hidden_state"
TWIN_LAYERS, TWIN_SEED = 2, 0
# Rounding of float32 angles up to 2 pi, compared with double precision.
ROTARY_TOLERANCE = 1e-5
SCOPES = "pkg.torch.onnx.name_scopes"
FINGERPRINT = 16
LAYER = re.compile(r"^layer\.(\d+)\.")


@dataclass
class Graph:
    """A network: its nodes in order, and the weights and constants they read.

    `parameters` maps a weight's name to whether the graph reads it transposed (a linear layer as a
    MatMul); `shapes` has the shape of every weight, as the graph reads it, and of every value.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    parameters: dict[str, bool] = field(default_factory=dict)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=lambda: [OUTPUT])


def trace(config: DINOv3ViTConfig, size: PictureSize) -> Graph:
    """Return the graph of a network for one picture of a size.

    Raises:
        ConversionError: the exporter's graph lacks a weight, or has an unknown large constant.
    """
    small = copy.deepcopy(config)
    small.num_hidden_layers = min(config.num_hidden_layers, TWIN_LAYERS)
    twin = _twin(small)
    reader = _Reader(twin, size)
    reader.read(_export(twin, size))
    _check(reader.graph, twin)
    return stamp(reader.graph, config.num_hidden_layers - small.num_hidden_layers)


def stamp(twin: Graph, more: int) -> Graph:
    """Return the graph with its second layer repeated `more` times."""
    layer = [node for node in twin.nodes if node.name.startswith("layer.1.")]
    last = 1 + max((twin.nodes.index(node) for node in layer), default=len(twin.nodes))
    graph = Graph(nodes=twin.nodes[:last], constants=twin.constants)
    for step in range(1, more + 1):
        graph.nodes += [_shifted(node, step) for node in layer]
    graph.nodes += [_shifted(node, more) for node in twin.nodes[last:]]
    for step in range(more + 1):
        graph.parameters |= {_shift(name, step): how for name, how in twin.parameters.items()}
        graph.shapes |= {_shift(name, step): shape for name, shape in twin.shapes.items()}
    return graph


class _LastHiddenState(nn.Module):
    def __init__(self, network: DINOv3ViTModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.network(pixel_values, return_dict=False)[0]


def _twin(config: DINOv3ViTConfig) -> DINOv3ViTModel:
    twin = dinov3.skeleton(config)
    random = torch.Generator().manual_seed(TWIN_SEED)
    weights = {
        name: torch.empty(value.shape).uniform_(-0.02, 0.02, generator=random)
        for name, value in twin.state_dict().items()
    }
    twin.load_state_dict(weights, assign=True)
    return twin


def _export(twin: DINOv3ViTModel, size: PictureSize) -> onnx_ir.Graph:
    pixels = torch.zeros(1, twin.config.num_channels, *size.axes)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _LastHiddenState(twin).eval(),
            (pixels,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    return program.model.graph


class _Reader:
    """Turns the exporter's graph of the twin into ours: readable names, every weight identified."""

    def __init__(self, twin: DINOv3ViTModel, size: PictureSize) -> None:
        self.graph = Graph(shapes={INPUT: (1, 3, *size.axes)})
        self._names = {INPUT: INPUT, OUTPUT: OUTPUT}
        self._uses: Counter[str] = Counter()
        self._scope = ""
        self._weights = _fingerprints(twin)
        self._rotary = _rotary(twin.config, size)
        # What the graph computes of constants alone, by the exporter's names; weights are not here.
        self._folded: dict[str, NDArray[Any]] = {}

    def read(self, source: onnx_ir.Graph) -> None:
        """Take over the exporter's graph."""
        for name, value in source.initializers.items():
            self._constant(name, value.const_value.numpy())
        for node in source:
            if not self._fold(node):
                self._node(node)

    def _constant(self, name: str, value: NDArray[Any]) -> None:
        """Classify a constant: a weight, a rotary table, or a small value such as a shape."""
        match = self._weights.get(_fingerprint(value))
        if match:
            own, transposed = match
            self.graph.parameters[own] = transposed
            self.graph.shapes[own] = value.shape
        else:
            self._folded[name] = value
            own, value = self._table(value) or (constant_name(value), value)
            self.graph.constants[own] = value
        self._names[name] = own

    def _table(self, value: NDArray[Any]) -> tuple[str, NDArray[np.float32]] | None:
        for name, table in self._rotary.items():
            if value.shape == table.shape and np.allclose(value, table, atol=ROTARY_TOLERANCE):
                return name, table
        return None

    def _fold(self, node: onnx_ir.Node) -> bool:
        """Compute a node that only constants go into: the exporter leaves those that are large."""
        names = [value.name for value in node.inputs if value is not None]
        if not names or not self._folded.keys() >= set(names):
            return False
        evaluator = ReferenceEvaluator(onnx_ir.to_proto(node), opsets={"": OPSET})
        outputs = evaluator.run(None, {name: self._folded[name] for name in names})
        for value, array in zip(node.outputs, outputs, strict=True):
            self._constant(value.name, array)
        return True

    def _node(self, node: onnx_ir.Node) -> None:
        name = self._node_name(node)
        for index, output in enumerate(node.outputs):
            own = name if len(node.outputs) == 1 else f"{name}.{index}"
            own = self._names.setdefault(output.name, own)
            self.graph.shapes[own] = tuple(map(int, output.shape))
        proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=name)
        proto.input.extend(self._names[value.name] if value else "" for value in node.inputs)
        proto.output.extend(self._names[value.name] for value in node.outputs)
        for _, attribute in sorted(node.attributes.items()):
            proto.attribute.append(onnx_ir.to_proto(attribute))
        self.graph.nodes.append(proto)

    def _node_name(self, node: onnx_ir.Node) -> str:
        # A Split carries no scope; it belongs where the node before it does.
        if SCOPES in node.metadata_props:
            module = ast.literal_eval(node.metadata_props[SCOPES])[-2]
            self._scope = plain_name(module.removeprefix("network."))
        name = f"{self._scope}.{node.op_type}"
        self._uses[name] += 1
        return name if self._uses[name] == 1 else f"{name}_{self._uses[name]}"


def _rotary(config: DINOv3ViTConfig, size: PictureSize) -> dict[str, NDArray[np.float32]]:
    rows, columns = size.patches(config.patch_size)
    head_dim = config.hidden_size // config.num_attention_heads
    cosines, sines = rope.tables(rows, columns, head_dim, config.rope_theta)
    return {"rope.cos": cosines, "rope.sin": sines}


def _fingerprints(twin: DINOv3ViTModel) -> dict[tuple[int, bytes], tuple[str, bool]]:
    known = {}
    for name, value in twin.state_dict().items():
        known[_fingerprint(value.numpy())] = (plain_name(name), False)
        if value.dim() == 2:
            known[_fingerprint(value.T.numpy())] = (plain_name(name), True)
    return known


def _fingerprint(value: NDArray[Any]) -> tuple[int, bytes]:
    return value.size, value.flat[:FINGERPRINT].tobytes()


def constant_name(value: NDArray[Any]) -> str:
    """Return the name of a small constant, by what it holds."""
    content = "x".join(map(str, value.ravel().tolist()[:FINGERPRINT]))
    return f"constant.{value.dtype}.{value.ndim}d.{content}"


def _check(graph: Graph, twin: DINOv3ViTModel) -> None:
    used = {name for node in graph.nodes for name in node.input}
    for name in [name for name in graph.constants if name not in used]:
        del graph.constants[name]
    lost = {plain_name(name) for name in twin.state_dict()} - OPTIONAL - graph.parameters.keys()
    strange = [name for name, value in graph.constants.items() if value.size > FINGERPRINT]
    if lost or set(strange) != {"rope.cos", "rope.sin"}:
        raise ConversionError(
            f"The exporter's graph is not understood: weights {sorted(lost)[:3]} are not found in "
            f"it, constants {strange} are.",
            cause="another version of torch, onnxscript or transformers than the image's",
        )


def _shifted(node: onnx.NodeProto, step: int) -> onnx.NodeProto:
    moved = onnx.NodeProto()
    moved.CopyFrom(node)
    moved.name = _shift(node.name, step)
    moved.input[:] = [_shift(name, step) for name in node.input]
    moved.output[:] = [_shift(name, step) for name in node.output]
    return moved


def _shift(name: str, step: int) -> str:
    return LAYER.sub(lambda match: f"layer.{int(match[1]) + step}.", name)
