"""The input of a network: normalised float32 planes, or bytes of RGB as a camera gives them.

The type and shape in the model file say which, so no stage needs an option for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from openqnn.network.onnx_network import Network
from scripts.picture_size import PictureSize

BYTE = np.dtype(np.uint8)


@dataclass(frozen=True)
class PictureInput:
    """An input: float32 [1, 3, height, width], or uint8 [1, height, width, 3]; RGB both."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, network: Network) -> PictureInput:
        """Return the input of a network."""
        value = network.graph.input[0]
        kind = value.type.tensor_type
        shape = tuple(dim.dim_value for dim in kind.shape.dim)
        return cls(value.name, helper.tensor_dtype_to_np_dtype(kind.elem_type), shape)

    @classmethod
    def load(cls, path: Path) -> PictureInput:
        """Return the input of the network in an `.onnx` file.

        Raises:
            DamagedFile: the file is missing or no ONNX model.
        """
        return cls.of(Network.load(path))

    @property
    def is_bytes(self) -> bool:
        """Whether it takes bytes, not normalised pixels."""
        return self.dtype == BYTE

    @property
    def size(self) -> PictureSize:
        """Height and width."""
        _, *axes = self.shape
        return PictureSize(*(axes[:2] if self.is_bytes else axes[1:]))

    @property
    def layout(self) -> str:
        """The order of its axes."""
        return "NHWC" if self.is_bytes else "NCHW"

    @property
    def suffix(self) -> str:
        """The end of the names of files in an image set that hold such an input."""
        return ".rgb" if self.is_bytes else ".raw"
