"""Files of samples: the values of a network's first input, as they lie in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from openqnn.network.onnx_network import Network
from openqnn.refusal import UnfitSamples


def read(path: Path, network: Network) -> NDArray[Any]:
    """Return a sample for a network's first input, in its type and shape.

    Raises:
        UnfitSamples: the size of the file is not that of the input, or it holds NaN or infinity.
    """
    kind = network.graph.input[0].type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    values: NDArray[Any] = np.fromfile(path, dtype)
    if values.size != np.prod(shape) or not np.isfinite(values).all():
        raise UnfitSamples(
            f"{path} is no finite {dtype} tensor of shape {list(shape)}.",
            cause="made for another image size, or a cut copy",
            remedy="run `invoke calibrate` again",
        )
    return values.reshape(shape)
