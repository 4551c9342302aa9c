"""A Hugging Face checkpoint directory, checked before any work and read tensor by tensor.

Only the safetensors headers are parsed up front; a tensor is read when it is needed,
and converted to float32, so memory holds one tensor and never the whole checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scripts.errors import CheckpointError

MODEL_TYPE = "dinov3_vit"
# safetensors' names of the stored types, and how NumPy reads them; it has no bfloat16.
STORED_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
LARGEST_HEADER = 100_000_000
FETCH_AGAIN = "fetch it again; `sha256sum` shows whether a copy is complete"
# Used in training, not in the exported network.
OPTIONAL = {"embeddings.mask_token"}


class Weights(Protocol):
    """Tensors by name, as `DINOv3ViTModel` has them without its inner `model.`."""

    @property
    def names(self) -> list[str]:
        """Every tensor, sorted."""

    def read(self, name: str) -> NDArray[np.float32]:
        """Return one tensor."""


@dataclass(frozen=True)
class Stored:
    """Where a tensor is: a file, its type and shape, and its first byte in that file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int


class Checkpoint:
    """The tensors of a directory, found and checked.

    Raises:
        CheckpointError: see `read_config`, `read_header`; or tensors are missing, unexpected or of
            other shapes than `shapes` says.
    """

    def __init__(self, directory: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._stored: dict[str, Stored] = {}
        for file in weight_files(directory):
            self._stored |= read_header(file)
        _compare(directory, {name: stored.shape for name, stored in self._stored.items()}, shapes)

    @property
    def names(self) -> list[str]:
        """Every tensor, sorted."""
        return sorted(self._stored)

    def read(self, name: str) -> NDArray[np.float32]:
        """Return one tensor.

        Raises:
            CheckpointError: it holds NaN or infinite values.
        """
        stored = self._stored[name]
        kind, count = np.dtype(STORED_TYPES[stored.dtype]), prod(stored.shape)
        flat = np.fromfile(stored.file, dtype=kind, count=count, offset=stored.offset)
        values = _to_float32(flat, stored.dtype).reshape(stored.shape)
        if not np.isfinite(values).all():
            raise CheckpointError(
                f"{stored.file}: tensor {name} has NaN or infinite values.",
                cause="a damaged file, or a training run that diverged",
                remedy=FETCH_AGAIN,
            )
        return values


def read_config(directory: Path) -> dict[str, Any]:
    """Return the directory's `config.json`.

    Raises:
        CheckpointError: it is not a Hugging Face directory, or has another kind of model.
    """
    file = directory / "config.json"
    if not file.is_file():
        raise CheckpointError(
            f"There is no config.json in {directory}.",
            cause="a wrong path, or weights in the original .pth format",
            remedy="give --weights a Hugging Face directory: config.json and *.safetensors",
        )
    try:
        config = json.loads(file.read_text())
        kind = config.get("model_type")
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"{file} is not valid JSON: {error}.", remedy=FETCH_AGAIN) from error
    if kind != MODEL_TYPE:
        raise CheckpointError(
            f"{file} is of a {kind!r} model, not {MODEL_TYPE!r}.",
            cause="DINOv2, a ConvNeXt or a fine-tuned model in place of a DINOv3 ViT",
            remedy="give --weights a facebook/dinov3-vit* directory",
        )
    return config


def weight_files(directory: Path) -> list[Path]:
    """Return the safetensors files of a directory, sharded or not.

    Raises:
        CheckpointError: there is none, or a shard is missing.
    """
    single, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise CheckpointError(
            f"There is neither model.safetensors nor {index.name} in {directory}.",
            cause="a download that was not finished, or pickled weights (.bin, .pth)",
            remedy="fetch the safetensors files as well",
        )
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{index} is damaged: {error!r}.", remedy=FETCH_AGAIN) from error
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{directory} lacks {len(missing)} of {len(names)} shards: {', '.join(missing)}.",
            cause="a download that was not finished",
            remedy="fetch the missing files",
        )
    return [directory / name for name in names]


def read_header(file: Path) -> dict[str, Stored]:
    """Return what a safetensors file holds: 8 bytes of header length, JSON, then the tensors.

    Raises:
        CheckpointError: the file is truncated, not a safetensors file, or has an unknown type.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise CheckpointError(
                f"{file} is not a complete safetensors file ({size} bytes).",
                cause="a cut download, or a Git LFS pointer in place of the file",
                remedy=FETCH_AGAIN + "; in a git clone, run `git lfs pull`",
            )
        try:
            entries = json.loads(stream.read(length))
            entries.pop("__metadata__", None)
            ends = [entry["data_offsets"][1] for entry in entries.values()]
        except (ValueError, KeyError, AttributeError) as error:
            raise CheckpointError(f"{file}: bad header: {error!r}.", remedy=FETCH_AGAIN) from error
    start = 8 + length
    if size != start + max(ends, default=0):
        raise CheckpointError(
            f"{file} has {size} bytes, its header promises {start + max(ends, default=0)}.",
            cause="a cut download or copy",
            remedy=FETCH_AGAIN,
        )
    return {plain_name(name): _stored(file, name, e, start) for name, e in entries.items()}


def plain_name(name: str) -> str:
    """Return a tensor's name without the encoder's `model.` that newer transformers put first."""
    return name.removeprefix("model.")


def _stored(file: Path, name: str, entry: Mapping[str, Any], start: int) -> Stored:
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if dtype not in STORED_TYPES:
        raise CheckpointError(
            f"{file}: tensor {name} is stored as {dtype}.",
            cause="a checkpoint that is quantised already",
            remedy=f"give weights stored as one of {', '.join(STORED_TYPES)}",
        )
    if last - first != prod(shape) * np.dtype(STORED_TYPES[dtype]).itemsize:
        raise CheckpointError(f"{file}: tensor {name} is cut short.", remedy=FETCH_AGAIN)
    return Stored(file, dtype, shape, start + first)


def _compare(
    directory: Path, stored: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    problems = [f"{name} is missing" for name in expected if name not in stored.keys() | OPTIONAL]
    problems += [f"{name} is not part of the model" for name in stored if name not in expected]
    problems += [
        f"{name} is {list(stored[name])}, not {list(shape)}"
        for name, shape in expected.items()
        if name in stored and stored[name] != shape
    ]
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        shown = "; ".join(problems[:3]) + more
        raise CheckpointError(
            f"The tensors in {directory} do not fit its config.json: {shown}.",
            cause="config.json and weights of two models, or a fine-tuned model with a head",
            remedy="give --weights the directory as published, or save the backbone alone",
        )


def _to_float32(flat: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32, copy=False)
