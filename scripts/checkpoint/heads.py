"""Linear heads that people bring: a safetensors file with `weight` and perhaps `bias`."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.checkpoint import files
from scripts.checkpoint.files import STORED_TYPES, Tensor
from scripts.errors import CheckpointError

SUFFIX = ".safetensors"
WEIGHT, BIAS = "weight", "bias"
REMEDY = (
    "a head has `weight` [classes, hidden] and perhaps `bias` [classes], as torch.nn.Linear's "
    "state_dict() has them: safetensors.torch.save_file(layer.state_dict(), FILE)"
)


def check(file: Path, hidden: int) -> None:
    """Hold a head against the width of a network.

    Raises:
        CheckpointError: as `read`.
    """
    read(file, hidden)


def read(file: Path, hidden: int) -> Mapping[str, NDArray[np.float32]]:
    """Return `weight` [classes, hidden] and, where there is one, `bias` [classes].

    Raises:
        CheckpointError: the file is missing, no safetensors file, or no linear layer on `hidden`;
            or a value is not finite, or every weight is 0.
    """
    values = {name: tensor.read() for name, tensor in _tensors(file, hidden).items()}
    if bad := [name for name, value in values.items() if not np.isfinite(value).all()]:
        raise CheckpointError(f"{file}: {bad[0]} has NaN or infinite values.", remedy=REMEDY)
    if not values[WEIGHT].any():
        raise CheckpointError(
            f"{file} is no head: every weight is 0.",
            cause="a layer that was saved before it was trained",
            remedy=REMEDY,
        )
    return values


def digest(file: Path) -> str:
    """Return the SHA-256 of a head's file."""
    return sha256(file.read_bytes()).hexdigest()


def _tensors(file: Path, hidden: int) -> dict[str, Tensor]:
    if not file.is_file():
        what = "is no file" if file.exists() else "is not there: no head"
        raise CheckpointError(
            f"{file} {'is a folder, no head' if file.is_dir() else what}.", remedy=REMEDY
        )
    if file.suffix != SUFFIX:
        raise CheckpointError(f"{file} is no {SUFFIX} file.", remedy=REMEDY)
    tensors = files.read_header(file)
    if WEIGHT not in tensors or tensors.keys() - {WEIGHT, BIAS}:
        shown = ", ".join(sorted(tensors)[:4]) or "nothing"
        raise CheckpointError(f"{file} is no linear head: it holds {shown}.", remedy=REMEDY)
    for name, tensor in tensors.items():
        if tensor.dtype not in STORED_TYPES:
            raise files.refuse_type(file, name, tensor.dtype)
    shape = tensors[WEIGHT].shape
    if len(shape) != 2 or shape[1] != hidden or not shape[0]:
        raise CheckpointError(
            f"{file} is no head for this network: its weight is {list(shape)}, not "
            f"[classes, {hidden}].",
            cause="a head of another model, or a transposed one",
            remedy=REMEDY,
        )
    if BIAS in tensors and tensors[BIAS].shape != shape[:1]:
        wrong, right = list(tensors[BIAS].shape), list(shape[:1])
        raise CheckpointError(f"{file}: its bias is {wrong}, not {right}.", remedy=REMEDY)
    return tensors
