"""Features of held-out pictures: in float32 on the CPU, and of a context in the simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openqnn.network.onnx_network import Network
from openqnn.quantization.observe import Observer
from scripts.htp import simulator
from scripts.metrics import FP16_MAX, Features
from scripts.pictures.picture_input import PictureInput

INPUT, OUTPUT = "pixel_values", "last_hidden_state"


def reference(network: Network, pictures: Sequence[Features]) -> tuple[Features, dict[str, Any]]:
    """Return the float32 features of pictures, and the largest activation in the network."""
    observer = Observer(network)
    tensors = list(network.float_tensors())
    for tensor in tensors:
        observer.add_range(tensor)
    observer.add_output(OUTPUT)
    observed = observer.collect(pictures, "float32 reference")
    widest = {
        tensor: float(max(-np.min(observed[f"{tensor}:low"]), np.max(observed[f"{tensor}:high"])))
        for tensor in tensors
    }
    name = max(widest, key=lambda tensor: widest[tensor])
    overflows = sum(value > FP16_MAX for value in widest.values())
    activation = {"tensor": name, "magnitude": widest[name], "beyond_float16": overflows}
    return np.concatenate(observed[OUTPUT]), activation


def of_context(
    context: Path, network: Network, files: Sequence[Path], takes: PictureInput
) -> Features:
    """Return a context binary's features of raw files, in the simulator."""
    shape = tuple(network.shapes()[OUTPUT])
    with tempfile.TemporaryDirectory() as scratch:
        outputs = simulator.run(context, files, OUTPUT, shape, Path(scratch), native=takes.is_bytes)
        return np.concatenate(list(outputs))
