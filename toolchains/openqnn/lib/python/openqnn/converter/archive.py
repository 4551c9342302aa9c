"""The .bin of a model: a tar of `<identifier>.raw`, one member a weight, the same bytes always."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openqnn import qnn
from openqnn.converter import names, order
from openqnn.converter.record import Graph, Tensor

MATRIX_OPERATIONS = ("FullyConnected", "MatMul", "Conv2d")
PER_AXIS = (qnn.AXIS_SCALE_OFFSET, qnn.BW_AXIS_SCALE_OFFSET)
ENCODINGS = "encodings_per_axis"


@dataclass(frozen=True)
class Stored:
    """A member, `<identifier>.raw`: its SHA-256, its size in bytes, whether 16-bit floats."""

    identifier: str
    sha256: str
    size: int
    is_half: bool


@dataclass(frozen=True)
class Contents:
    """What an archive holds: weights by the id of their tensor, and the encodings per axis."""

    weights: Mapping[int, Stored]
    encodings: Stored | None


def write(path: Path, graph: Graph, bits: int) -> Contents:
    """Write the weights of a graph, and one member with all encodings per axis.

    With `bits` 16, the float32 matrices are rounded to float16, as the HTP does when it compiles
    the graph in that precision. Recorded files are removed one by one, so that the disk holds the
    weights once; memory holds one of them.
    """
    halved = _matrices(graph) if bits == 16 else frozenset()
    identifiers = names.identifiers(tensor.name for tensor in graph.weights)
    weights = {}
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for tensor in graph.weights:
            raw = graph.raw(tensor)
            data = _contents(tensor, raw, tensor.id in halved)
            weights[tensor.id] = _add(tar, identifiers[tensor.name], data)
            del data
            raw.unlink()
        name = names.free(ENCODINGS, identifiers.values())
        data = _encodings(graph)
        encodings = _add(tar, name, data) if data.size else None
    return Contents(weights, encodings)


def _encodings(graph: Graph) -> np.ndarray:
    """Return the encodings per axis as QNN has them in memory, those of each tensor in turn.

    Pairs of scale and offset, or, with a width of their own, all scales and then all offsets.
    """
    parts = [np.empty(0, np.uint8)]
    for tensor in order.tensors(graph):
        if tensor.quantization and tensor.quantization.encoding in PER_AXIS:
            scales = np.array(tensor.quantization.scales, np.float32).view(np.int32)
            both = np.stack((scales, np.array(tensor.quantization.offsets, np.int32)))
            pairs = tensor.quantization.encoding == qnn.AXIS_SCALE_OFFSET
            parts.append(np.ascontiguousarray(both.T if pairs else both).reshape(-1).view(np.uint8))
    return np.concatenate(parts)


def _matrices(graph: Graph) -> frozenset[int]:
    """Return the ids of the float32 weights that are only ever multiplied as matrices.

    The HTP computes with the full width of other weights (biases, normalisation): rounding those
    would change its results.
    """
    uses = [
        (tensor, node.type in MATRIX_OPERATIONS and index == 1)
        for node in graph.nodes
        for index, tensor in enumerate(node.inputs)
    ]
    others = {tensor.id for tensor, is_matrix in uses if not is_matrix}
    return frozenset(t.id for t, _ in uses if t.datatype == qnn.FLOAT_32) - others


def _contents(tensor: Tensor, raw: Path, is_halved: bool) -> np.ndarray:
    if tensor.datatype != qnn.FLOAT_32:
        return np.fromfile(raw, np.uint8)
    data = np.fromfile(raw, np.float32)
    return _halved(data) if is_halved else data


def _halved(data: np.ndarray) -> np.ndarray:
    """Round to float16 where no finite value overflows; a mask's -3e38 keeps its 32 bits."""
    with np.errstate(over="ignore"):
        half = data.astype(np.float16)
    return half if np.array_equal(np.isfinite(half), np.isfinite(data)) else data


def _add(tar: tarfile.TarFile, identifier: str, data: np.ndarray) -> Stored:
    contents = data.view(np.uint8).data
    member = tarfile.TarInfo(f"{identifier}.raw")
    member.size = data.nbytes
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(contents))
    digest = hashlib.sha256(contents).hexdigest()
    return Stored(identifier, digest, data.nbytes, data.dtype == np.float16)
