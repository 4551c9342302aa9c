"""Linear heads that people bring: a safetensors file with `weight` and perhaps `bias`.

Both may have one prefix, such as `classifier.` or `decode_head.conv_seg.`. A head on patches may be
a convolution of 1 x 1, [classes, hidden, 1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.checkpoint.header import read_header
from scripts.checkpoint.tensors import STORED_TYPES, Tensor, is_finite
from scripts.errors import CheckpointError
from scripts.outputs import HEAD_SUFFIX

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHT, BIAS = "weight", "bias"
REMEDY = (
    "a head has `weight` [classes, hidden], perhaps `bias` [classes], and nothing else, as the "
    "state_dict() of a torch.nn.Linear: safetensors.torch.save_file(layer.state_dict(), FILE)"
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
    values[WEIGHT] = values[WEIGHT].reshape(_matrix(values[WEIGHT].shape))
    if bad := [name for name, value in values.items() if not is_finite(value)]:
        raise CheckpointError(
            f"{file}: {bad[0]} has NaN or infinite values.",
            cause="a training that diverged, or values too large for the float16 it was saved in",
            remedy="save the head of an earlier step, in float32: `layer.float().state_dict()`",
        )
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
    """Return the tensors of the one layer that is in a file, as `weight` and `bias`."""
    if not file.is_file():
        what = "is no file" if file.exists() else "is not there: no head"
        raise CheckpointError(
            f"{file} {'is a folder, no head' if file.is_dir() else what}.", remedy=REMEDY
        )
    if file.suffix.lower() != HEAD_SUFFIX:
        raise CheckpointError(f"{file} is no {HEAD_SUFFIX} file.", remedy=REMEDY)
    header = read_header(file)
    layer = _layer(file, header)
    for name, tensor in header.items():
        if tensor.dtype not in STORED_TYPES:
            raise CheckpointError(
                f"{file}: {name} is stored as {tensor.dtype}.",
                cause="a head that is quantised already",
                remedy="save the one it was made from, in float32: `layer.float().state_dict()`",
            )
    _require_width(file, layer, hidden)
    return layer


def _layer(file: Path, header: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `weight` and `bias` whatever prefix they share; a file with more is ambiguous."""
    prefix = next((name for name in header if name.endswith(WEIGHT)), "").removesuffix(WEIGHT)
    own = {f"{prefix}{part}": part for part in (WEIGHT, BIAS)}
    if (prefix and prefix[-1] != ".") or f"{prefix}{WEIGHT}" not in header or header.keys() - own:
        shown = ", ".join(f"{name} {list(header[name].shape)}" for name in sorted(header)[:4])
        more = f" and {len(header) - 4} more" if len(header) > 4 else ""
        raise CheckpointError(
            f"{file} is no linear head: it holds {shown or 'nothing'}{more}.",
            cause="more than one linear layer, such as one behind a norm, or a whole network",
            remedy=REMEDY,
        )
    return {own[name]: tensor for name, tensor in header.items()}


def _require_width(file: Path, layer: Mapping[str, Tensor], hidden: int) -> None:
    shape = layer[WEIGHT].shape
    matrix = _matrix(shape)
    if len(matrix) != 2 or matrix[1] != hidden or not matrix[0]:
        raise CheckpointError(
            f"{file} is no head for this network: its weight is {list(shape)}, not "
            f"[classes, {hidden}].",
            cause=_misfit(shape, hidden),
            remedy=REMEDY,
        )
    if BIAS in layer and layer[BIAS].shape != shape[:1]:
        wrong, right = list(layer[BIAS].shape), list(shape[:1])
        raise CheckpointError(f"{file}: its bias is {wrong}, not {right}.", remedy=REMEDY)


def _misfit(shape: tuple[int, ...], hidden: int) -> str:
    if len(shape) == 4 and shape[2:] != (1, 1):
        return f"a convolution of {shape[2]} x {shape[3]}, which is no linear layer of each patch"
    if _matrix(shape)[1:] == (2 * hidden,):
        return "a head on CLS and the mean of the patches, side by side"
    return "a head of another model, or a transposed one"


def _matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a weight as that of a linear layer, which a convolution of 1 x 1 is."""
    return shape[:2] if shape[2:] == (1, 1) else shape
