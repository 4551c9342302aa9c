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


@dataclass(frozen=True)
class Stored:
    """How a weight is kept: its SHA-256, its size in bytes, and whether as 16-bit floats."""

    sha256: str
    size: int
    is_half: bool


def write(path: Path, graph: Graph, identifiers: Mapping[str, str], bits: int) -> dict[int, Stored]:
    """Write the weights of a graph and return how each was stored, by tensor id.

    With `bits` 16, float32 weights are rounded to float16, as the HTP does when it compiles the
    graph in that precision. Recorded files are removed one by one, so that the disk holds the
    weights once; memory holds one of them.
    """
    stored = {}
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for tensor in graph.weights:
            raw = graph.raw(tensor)
            data = _contents(tensor, raw, bits)
            _add(tar, f"{identifiers[tensor.name]}.raw", data)
            digest = hashlib.sha256(data.view(np.uint8).data).hexdigest()
            stored[tensor.id] = Stored(digest, data.nbytes, data.dtype == np.float16)
            del data
            raw.unlink()
    return stored


def _contents(tensor: Tensor, raw: Path, bits: int) -> np.ndarray:
    if tensor.datatype != qnn.FLOAT_32:
        return np.fromfile(raw, np.uint8)
    data = np.fromfile(raw, np.float32)
    return _halved(data) if bits == 16 else data


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
