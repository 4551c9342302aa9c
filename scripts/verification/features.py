"""Features of held-out pictures: in float32 on the CPU, and of a context in the simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openqnn.network.onnx_network import Network
from openqnn.quantization import observe
from openqnn.quantization.observe import Observer
from scripts.htp import simulator
from scripts.metrics import FP16_MAX, Features
from scripts.pictures.picture_input import PictureInput

INPUT = "pixel_values"
# Features by the name of a network's output, [pictures, ...] each.
ByOutput = Mapping[str, Features]
# Pictures whose activations are all looked at: that takes longer than computing them.
RANGED = 4


def reference(network: Network, pictures: Sequence[Features]) -> tuple[ByOutput, dict[str, Any]]:
    """Return the float32 outputs for pictures, and the largest activation in the network.

    The latter is that of the first pictures, `RANGED` of them.
    """
    outputs, activation = _with_ranges(network, pictures[:RANGED])
    if rest := pictures[RANGED:]:
        for name, values in observe.outputs(network, rest, "float32 reference").items():
            outputs[name] += values
    return {name: np.concatenate(values) for name, values in outputs.items()}, activation


def _with_ranges(
    network: Network, pictures: Sequence[Features]
) -> tuple[dict[str, list[Features]], dict[str, Any]]:
    observer = Observer(network)
    tensors = list(network.float_tensors())
    for tensor in tensors:
        observer.add_range(tensor)
    outputs = [value.name for value in network.graph.output]
    for output in outputs:
        observer.add_output(output)
    observed = observer.collect(pictures, "float32 reference, with ranges")
    widest = {
        tensor: float(max(-np.min(observed[f"{tensor}:low"]), np.max(observed[f"{tensor}:high"])))
        for tensor in tensors
    }
    name = max(widest, key=lambda tensor: widest[tensor])
    overflows = sum(value > FP16_MAX for value in widest.values())
    activation = {"tensor": name, "magnitude": widest[name], "beyond_float16": overflows}
    return {output: observed[output] for output in outputs}, activation


def of_context(
    context: Path, network: Network, files: Sequence[Path], takes: PictureInput
) -> ByOutput:
    """Return a context binary's outputs for raw files, in the simulator."""
    known = network.shapes()
    shapes = {value.name: tuple(known[value.name]) for value in network.graph.output}
    with tempfile.TemporaryDirectory() as scratch:
        runs = [*simulator.run(context, files, shapes, Path(scratch), native=takes.is_bytes)]
        return {name: np.concatenate([run[name] for run in runs]) for name in shapes}
