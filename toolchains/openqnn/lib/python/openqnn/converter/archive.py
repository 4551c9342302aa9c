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
from openqnn.converter.record import Graph, Tensor

MATRIX_OPERATIONS = ("FullyConnected", "MatMul", "Conv2d")


@dataclass(frozen=True)
class Stored:
    """How a weight is kept: its SHA-256, its size in bytes, and whether as 16-bit floats."""

    sha256: str
    size: int
    is_half: bool


def write(path: Path, graph: Graph, identifiers: Mapping[str, str], bits: int) -> dict[int, Stored]:
    """Write the weights of a graph and return how each was stored, by tensor id.

    With `bits` 16, the float32 matrices are rounded to float16, as the HTP does when it compiles
    the graph in that precision. Recorded files are removed one by one, so that the disk holds the
    weights once; memory holds one of them.
    """
    halved = _matrices(graph) if bits == 16 else frozenset()
    stored = {}
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for tensor in graph.weights:
            raw = graph.raw(tensor)
            data = _contents(tensor, raw, tensor.id in halved)
            _add(tar, f"{identifiers[tensor.name]}.raw", data)
            digest = hashlib.sha256(data.view(np.uint8).data).hexdigest()
            stored[tensor.id] = Stored(digest, data.nbytes, data.dtype == np.float16)
            del data
            raw.unlink()
    return stored


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


def _add(tar: tarfile.TarFile, name: str, data: np.ndarray) -> None:
    member = tarfile.TarInfo(name)
    member.size = data.nbytes
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data.view(np.uint8).data))
