"""Outputs other than all tokens, put behind the graph that was traced.

Let N [1, tokens, width] be the tokens after the last norm, CLS first and the patches last, and N_k
the same norm of what layer k writes. With h x w patches:

    cls       = N[:, 0]                                 [1, width]
    patches   = N[:, -h*w:]                             [1, h*w, width]
    features  = transpose(patches)                      [1, width, h, w]
    layer_k   = the features of N_k                     [1, width, h, w]
    head      = cls W' + b                              [1, classes]
    patch_head = transpose(patches W' + b)              [1, classes, h, w]

with W [classes, width] and b [classes]. Rows are cut out by their number from the front, and every
output has a Reshape, or a linear layer of two dimensions, of its own: so `lower` may drop the batch
dimension, and pad the tokens at the end, without looking at outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from scripts import outputs as names
from scripts.checkpoint.trace import LAYER, OUTPUT, Graph, constant_name
from scripts.errors import ConversionError
from scripts.outputs import Output, Outputs

Head = Mapping[str, NDArray[np.float32]]


def attach(
    graph: Graph, outputs: Outputs, patches: tuple[int, int], heads: Mapping[str, Head]
) -> Graph:
    """Return the graph with these outputs, and without what none of them needs.

    `patches` are rows and columns; `heads` has `weight` and perhaps `bias` by an output's name.

    Raises:
        ConversionError: the graph has no such layer.
    """
    if outputs.is_usual:
        return graph
    taps = _Taps(graph, patches, heads)
    for output in outputs:
        taps.add(output)
    graph.outputs = outputs.names
    _drop_unneeded(graph)
    return graph


@dataclass
class _Taps:
    graph: Graph
    patches: tuple[int, int]
    heads: Mapping[str, Head]

    def __post_init__(self) -> None:
        norms = [node for node in self.graph.nodes if node.op_type == "LayerNormalization"]
        self._norm = norms[-1]
        self._tokens, self._width = self.graph.shapes[OUTPUT][1:]
        self._count = self.patches[0] * self.patches[1]

    def add(self, output: Output) -> None:
        name, place = output.name, len(self.graph.nodes)
        if output.word == names.LAYERS:
            source, place = self._normalised(output.layer)
            nodes = self._features(source, name, self._width)
        elif name == names.CLS:
            row = self._rows(OUTPUT, name, 0, 1)
            nodes = [*row, self._reshape(row[-1].output[0], name, (1, self._width))]
        elif name == names.PATCHES:
            rows = self._patches(OUTPUT, name)
            shape = (1, self._count, self._width)
            nodes = [*rows, self._reshape(rows[-1].output[0], name, shape)]
        elif name == names.FEATURES:
            nodes = self._features(OUTPUT, name, self._width)
        elif name == names.HEAD:
            nodes = self._linear(self._rows(OUTPUT, name, 0, 1), name, name)
        elif name == names.PATCH_HEAD:
            nodes = self._linear(self._patches(OUTPUT, name), name, f"{name}.logits")
            classes = self.graph.shapes[nodes[-1].output[0]][-1]
            nodes += self._as_picture(nodes[-1].output[0], name, classes)
        else:
            nodes = []
        self.graph.nodes[place:place] = nodes

    def _normalised(self, layer: int) -> tuple[str, int]:
        """Return the last norm of what a layer writes, and the place of the next node.

        It stands right behind the layer: so one tensor still connects the parts of a network.
        """
        stream = LAYER.sub(f"layer.{layer}.", self._norm.input[0])
        if stream == self._norm.input[0]:
            return OUTPUT, len(self.graph.nodes)
        for place, node in enumerate(self.graph.nodes):
            if stream in node.output:
                norm = NodeProto()
                norm.CopyFrom(self._norm)
                norm.name = f"layer_{layer}.norm"
                norm.input[0], norm.output[0] = stream, norm.name
                self.graph.shapes[norm.name] = self.graph.shapes[OUTPUT]
                self.graph.nodes.insert(place + 1, norm)
                return norm.name, place + 2
        raise ConversionError(f"The network has no layer {layer}.")

    def _features(self, source: str, name: str, channels: int) -> list[NodeProto]:
        rows = self._patches(source, name)
        return [*rows, *self._as_picture(rows[-1].output[0], name, channels)]

    def _as_picture(self, rows: str, name: str, channels: int) -> list[NodeProto]:
        turned = self._node("Transpose", [rows], f"{name}.channels", (channels, self._count))
        turned.attribute.append(helper.make_attribute("perm", [1, 0]))
        return [turned, self._reshape(turned.output[0], name, (1, channels, *self.patches))]

    def _linear(self, rows: list[NodeProto], name: str, result: str) -> list[NodeProto]:
        head, matrix = self.heads[name], rows[-1].output[0]
        shape = (self.graph.shapes[matrix][0], len(head["weight"]))
        weight = self._constant(f"{name}.weight", np.ascontiguousarray(head["weight"].T))
        if "bias" not in head:
            return [*rows, self._node("MatMul", [matrix, weight], result, shape)]
        product = self._node("MatMul", [matrix, weight], f"{name}.MatMul", shape)
        bias = self._constant(f"{name}.bias", head["bias"])
        return [*rows, product, self._node("Add", [product.output[0], bias], result, shape)]

    def _patches(self, source: str, name: str) -> list[NodeProto]:
        return self._rows(source, name, self._tokens - self._count, self._tokens)

    def _rows(self, source: str, name: str, start: int, stop: int) -> list[NodeProto]:
        """Return the nodes that cut rows out of tokens as a matrix."""
        shape = (stop - start, self._width)
        bounds = [self._integers(value) for value in (start, stop, -2)]
        cut = self._node("Slice", [source, *bounds], f"{name}.cut", (1, *shape))
        return [cut, self._reshape(cut.output[0], f"{name}.rows", shape)]

    def _reshape(self, source: str, name: str, shape: tuple[int, ...]) -> NodeProto:
        return self._node("Reshape", [source, self._integers(*shape)], name, shape)

    def _node(
        self, operator: str, inputs: list[str], name: str, shape: tuple[int, ...]
    ) -> NodeProto:
        self.graph.shapes[name] = shape
        return helper.make_node(operator, inputs, [name], name)

    def _integers(self, *values: int) -> str:
        array = np.array(values, np.int64)
        return self._constant(constant_name(array), array)

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.graph.constants[name] = values
        return name


def _drop_unneeded(graph: Graph) -> None:
    needed, nodes = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    graph.nodes = nodes[::-1]
    graph.constants = {name: value for name, value in graph.constants.items() if name in needed}
