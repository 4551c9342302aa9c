"""The rewrite of attention: every head a chain of small matrices of its own.

No tensor is transposed but a head's keys, and the cores work on heads side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto, helper

from scripts.lowering.graph import Graph, attribute


@dataclass(frozen=True)
class Attention:
    """The nodes between the linear layers; `entries` maps each split tensor to the whole one."""

    merge: NodeProto
    result: str
    entries: dict[str, str]
    inner: Sequence[NodeProto]
    heads: int


def split_heads(graph: Graph) -> None:
    """Split queries, keys and values by columns, and let each head go its own way."""
    for softmax in graph.of_type("Softmax"):
        if len(graph.shapes[softmax.input[0]]) == 4:
            attention = _around(graph, softmax)
            rank = len(graph.shapes[attention.merge.output[0]])
            graph.replace(attention.merge, _split(graph, attention, rank))


def _around(graph: Graph, softmax: NodeProto) -> Attention:
    weighted = graph.users(softmax.output[0])[0]
    turned = graph.users(weighted.output[0])[0]
    merge = graph.users(turned.output[0])[0]
    producers = graph.producers()
    entries: dict[str, str] = {}
    inside: set[str] = set()
    pending = [weighted.output[0]]
    while pending:
        name = pending.pop()
        node = producers.get(name)
        if node is None or name in inside or name in entries:
            continue
        above = producers.get(node.input[0])
        if node.op_type == "Transpose" and above and above.op_type == "Reshape":
            entries[name] = above.input[0]
        else:
            inside.add(name)
            pending += node.input
    inner = [node for node in graph.nodes if inside & set(node.output)]
    ordered = {
        name: entries[name] for node in graph.nodes for name in node.output if name in entries
    }
    heads = graph.shapes[softmax.input[0]][1]
    return Attention(merge, weighted.output[0], ordered, inner, heads)


def _split(graph: Graph, attention: Attention, rank: int) -> list[NodeProto]:
    made = []
    for head, whole in attention.entries.items():
        size = graph.shapes[head][-1]
        parts = [_of_head(head, index) for index in range(attention.heads)]
        sizes = graph.integers(*[size] * attention.heads)
        made.append(helper.make_node("Split", [whole, sizes], parts, f"{head}.heads", axis=-1))
    for index in range(attention.heads):
        made += _head(graph, attention, index, rank)
    results = [_of_head(attention.result, index) for index in range(attention.heads)]
    merge = attention.merge
    return [*made, helper.make_node("Concat", results, merge.output, merge.name, axis=-1)]


def _head(graph: Graph, attention: Attention, index: int, rank: int) -> list[NodeProto]:
    own = set(attention.entries) | {name for node in attention.inner for name in node.output}
    made = []
    for node in attention.inner:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = _of_head(node.output[0], index)
        copy.input[:] = [_of_head(name, index) if name in own else name for name in node.input]
        copy.output[:] = [_of_head(name, index) for name in node.output]
        _lower_rank(graph, copy, rank)
        made.append(copy)
    return made


def _lower_rank(graph: Graph, node: NodeProto, rank: int) -> None:
    """Let a node of four dimensions work on the last ones."""
    if node.op_type == "Transpose":
        perm = [axis - (4 - rank) for axis in attribute(node, "perm")[4 - rank :]]
        _set(node, "perm", perm)
    elif node.op_type in ("Split", "Concat", "Softmax"):
        axis = attribute(node, "axis")
        _set(node, "axis", axis - 4 if axis >= 0 else axis)
    elif node.op_type == "Slice":
        axes = [axis - 4 if axis >= 0 else axis for axis in graph.value(node.input[3]).tolist()]
        node.input[3] = graph.integers(*axes)


def _set(node: NodeProto, name: str, value: int | list[int]) -> None:
    kept = [one for one in node.attribute if one.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _of_head(name: str, index: int) -> str:
    return f"{name}.head{index}"
