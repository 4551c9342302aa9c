"""A piece of a network run in parts, with the tensors between them at hand.

GPTQ needs what each linear layer reads, computed by the layers before it as they are rounded. Run
from the piece's start for each of them, a piece of n such inputs is computed n times over. Cut
where those inputs are written it is computed once: each part reads the tensors that the parts
before it have left, and leaves those that later ones read.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from onnx import NodeProto

from openqnn.network.onnx_network import Network
from openqnn.network.pieces import Extractor, Piece
from openqnn.network.relay import Runner, Values


@dataclass(frozen=True)
class Part:
    """Consecutive nodes of a piece; of the tensors before them they read `reads`.

    `result` is the tensor at which the part ends, `leaves` are all that something later reads.
    """

    nodes: Sequence[NodeProto]
    reads: Sequence[str]
    leaves: Sequence[str]
    result: str


def parted(piece: Piece, ends: Collection[str]) -> Iterator[Part]:
    """Yield a piece's parts in order: each ends where one of `ends` is written, or the piece."""
    nodes, before, first = piece.nodes, {piece.source}, 0
    for last, node in enumerate(nodes, 1):
        result = next((name for name in node.output if name in ends), "")
        if not result and last < len(nodes):
            continue
        own, later = nodes[first:last], {*_read(nodes[last:]), result or piece.result}
        written = {name for node in own for name in node.output}
        yield Part(
            own,
            sorted(before.intersection(_read(own))),
            sorted(written & later),
            result or piece.result,
        )
        before, first = before | written, last


def run(part: Part, network: Network, extractor: Extractor, pictures: Sequence[Values]) -> None:
    """Add the tensors that a part leaves to those of each picture, by their names.

    A core computes whole pictures, so the bytes do not depend on the number of cores.
    """
    runner = _opened(part, network, extractor)

    def work(values: Values) -> None:
        values.update(runner(values[part.reads[0]], values))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, pictures))


def _opened(part: Part, network: Network, extractor: Extractor) -> Runner:
    piece = Piece(part.nodes, part.reads[0], part.result)
    model = extractor.model(piece)
    model.graph.input.extend(map(extractor.value, part.reads[1:]))
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(extractor.value(name) for name in part.leaves if name not in known)
    return Runner(piece, model, network.folder)


def _read(nodes: Sequence[NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input}
