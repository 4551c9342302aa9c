"""The rewrite of attention: every head a chain of small matrices of its own.

Only the keys of a head are transposed, and the cores work on several heads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto, helper

from scripts.lowering.fired import DONE, Fired, each
from scripts.lowering.graph import Graph, attribute

# From the weighted values to the output projection, as the exporter writes it.
MERGE = ("MatMul", "Transpose", "Reshape")


@dataclass(frozen=True)
class Attention:
    """The nodes between the linear layers; `entries` maps each split tensor to the whole one."""

    merge: NodeProto
    result: str
    entries: dict[str, str]
    inner: Sequence[NodeProto]
    heads: int


def split_heads(graph: Graph) -> Fired:
    """Split queries, keys and values by columns, and compute each head on its own: no transposes.

        Reshape(Transpose(MatMul(Softmax(MatMul(Q, K')), V)))
            -> Concat(MatMul(Softmax(MatMul(Q_1, K_1')), V_1), ..., axis=-1)

    Q, K and V are [1, heads, tokens, size]; Q_h, K_h and V_h [tokens, size] are columns
    h * size to (h + 1) * size of the linear layer's output [tokens, heads * size]. Exact, because
    heads meet nowhere before the merge: the product of batches is one product a head.
    """

    def split(softmax: NodeProto) -> str:
        rank = len(graph.shapes[softmax.input[0]])
        if rank != 4:
            return f"the scores have {rank} dimensions, not [1, heads, tokens, tokens]"
        chain = _following(graph, softmax)
        if tuple(node.op_type for node in chain) != MERGE:
            return "the heads are not merged by a Transpose and a Reshape"
        attention = _around(graph, softmax, chain)
        if not attention.entries:
            return "the heads are not split by a Reshape and a Transpose"
        rank = len(graph.shapes[attention.merge.output[0]])
        graph.replace(attention.merge, _split(graph, attention, rank))
        return DONE

    return each(graph.of_type("Softmax"), split, "the network has no Softmax")


def _following(graph: Graph, softmax: NodeProto) -> list[NodeProto]:
    """Return the nodes behind a Softmax, as many as a merge has, while there is a single reader."""
    chain, node = [], softmax
    for _ in MERGE:
        readers = graph.users(node.output[0])
        if len(readers) != 1:
            break
        node = readers[0]
        chain.append(node)
    return chain


def _around(graph: Graph, softmax: NodeProto, chain: Sequence[NodeProto]) -> Attention:
    weighted, _, merge = chain
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
    nodes = []
    for head, whole in attention.entries.items():
        size = graph.shapes[head][-1]
        parts = [_of_head(head, index) for index in range(attention.heads)]
        sizes = graph.integers(*[size] * attention.heads)
        nodes.append(helper.make_node("Split", [whole, sizes], parts, f"{head}.heads", axis=-1))
    for index in range(attention.heads):
        nodes += _head(graph, attention, index, rank)
    results = [_of_head(attention.result, index) for index in range(attention.heads)]
    merge = attention.merge
    return [*nodes, helper.make_node("Concat", results, merge.output, merge.name, axis=-1)]


def _head(graph: Graph, attention: Attention, index: int, rank: int) -> list[NodeProto]:
    own = set(attention.entries) | {name for node in attention.inner for name in node.output}
    nodes = []
    for node in attention.inner:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = _of_head(node.output[0], index)
        copy.input[:] = [_of_head(name, index) if name in own else name for name in node.input]
        copy.output[:] = [_of_head(name, index) for name in node.output]
        _lower_rank(graph, copy, rank)
        nodes.append(copy)
    return nodes


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
    others = [other for other in node.attribute if other.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, helper.make_attribute(name, value)])


def _of_head(name: str, index: int) -> str:
    return f"{name}.head{index}"
