"""Tensors in files of weights: told by their headers, and read one by one when they are needed.

Each is converted to float32, so memory holds one tensor and never the whole checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scripts.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# safetensors' names of the stored types, and how NumPy reads them; it has no bfloat16.
STORED_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
# Used in training, not in the exported network.
OPTIONAL = {"embeddings.mask_token"}


class Weights(Protocol):
    """Tensors by name, as `DINOv3ViTModel` has them without its inner `model.`."""

    @property
    def names(self) -> list[str]:
        """Every tensor, sorted."""

    def read(self, name: str) -> NDArray[np.float32]:
        """Return one tensor."""


class Tensor(Protocol):
    """A tensor in a file, not read yet; `dtype` is one of `STORED_TYPES`, or empty without one."""

    @property
    def file(self) -> Path:
        """The file that it is in."""

    @property
    def dtype(self) -> str:
        """Its stored type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    def read(self) -> NDArray[np.float32]:
        """Return its values."""

    def is_blank(self) -> bool:
        """Whether all that is stored are zeros; no torch is needed to tell."""

    def third(self, number: int) -> Tensor:
        """Return one of its three equal blocks of rows."""


@dataclass(frozen=True)
class Stored:
    """A tensor of a safetensors file: its type and shape, and its first byte in that file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def read(self) -> NDArray[np.float32]:
        """Return its values."""
        import numpy as np  # slow to load, and what only looks at tensors does without

        kind, count = np.dtype(STORED_TYPES[self.dtype]), prod(self.shape)
        flat = np.fromfile(self.file, dtype=kind, count=count, offset=self.offset)
        return _to_float32(flat, self.dtype).reshape(self.shape)

    def is_blank(self) -> bool:
        """Whether all that is stored are zeros."""
        return not self.read().any()

    def third(self, number: int) -> Stored:
        """Return one of its three equal blocks of rows, which lie one behind the other."""
        shape = (self.shape[0] // 3, *self.shape[1:])
        return replace(self, shape=shape, offset=self.offset + number * size_of(shape, self.dtype))


@dataclass(frozen=True)
class Zeros:
    """A bias that a checkpoint leaves out because it is zero."""

    file: Path
    shape: tuple[int, ...]
    dtype: str = ""

    def read(self) -> NDArray[np.float32]:
        """Return its values."""
        import numpy as np

        return np.zeros(self.shape, np.float32)

    def is_blank(self) -> bool:
        """Whether all of it are zeros: yes."""
        return True

    def third(self, number: int) -> Zeros:
        """Return one of its three equal blocks of rows."""
        return replace(self, shape=(self.shape[0] // 3, *self.shape[1:]))


def size_of(shape: Sequence[int], dtype: str) -> int:
    """Return the bytes that a tensor of a shape and one of `STORED_TYPES` takes in a file."""
    return prod(shape) * int(STORED_TYPES[dtype][-1])


def is_finite(values: NDArray[np.float32]) -> bool:
    """Whether no value is NaN or infinite: both ends would be."""
    return not values.size or (math.isfinite(values.min()) and math.isfinite(values.max()))


def plain_name(name: str) -> str:
    """Return a tensor's name without the encoder's `model.` that newer transformers put first."""
    return name.removeprefix("model.")


def refuse_type(file: Path, name: str, dtype: str) -> CheckpointError:
    """Return the error for a tensor of a type that is no floating-point number of a network."""
    return CheckpointError(
        f"{file}: tensor {name} is stored as {dtype}.",
        cause="a checkpoint that is quantised already",
        remedy=f"give weights stored as one of {', '.join(STORED_TYPES)}",
    )


def _to_float32(flat: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    import numpy as np

    if dtype == "BF16":
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32, copy=False)
