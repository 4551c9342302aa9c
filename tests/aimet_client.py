"""AIMET as its users run it, in an environment of its own; it knows nothing of this project.

    simulate MODEL ENCODINGS BITS RAW FOLDER    outputs of AIMET's simulation of a network
    export MODEL BITS VERSION FOLDER RAW...     encodings that AIMET calibrates

BITS are those of activations. Outputs are FOLDER/float.raw, that of ONNX Runtime, and
FOLDER/simulated.raw; encodings are FOLDER/aimet.encodings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from aimet_onnx.quantsim import QuantizationSimModel, load_encodings_to_sim


def simulate(model: str, encodings: str, bits: str, raw: str, folder: str) -> None:
    """Write what a network gives for a picture, as it is and with encodings."""
    network = onnx.load(model)
    (value,) = network.graph.input
    session = onnxruntime.InferenceSession(model)
    simulation = _simulation(network, bits)
    load_encodings_to_sim(simulation, encodings, strict=False)
    for name, engine in (("float", session), ("simulated", simulation.session)):
        (output, *_) = engine.run(None, {value.name: _picture(value, raw)})
        output.astype(np.float32).tofile(Path(folder, f"{name}.raw"))


def export(model: str, bits: str, version: str, folder: str, *raws: str) -> None:
    """Calibrate a network on pictures, and write its encodings."""
    network = onnx.load(model)
    (value,) = network.graph.input
    simulation = _simulation(network, bits)
    simulation.compute_encodings([{value.name: _picture(value, raw)} for raw in raws])
    simulation.export(folder, "aimet", export_model=False, encoding_version=version)


def _simulation(network: onnx.ModelProto, bits: str) -> Any:
    return QuantizationSimModel(
        network, param_type="int8", activation_type=f"int{bits}", config_file="htp_v73"
    )


def _picture(value: onnx.ValueInfoProto, raw: str) -> Any:
    shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    return np.fromfile(raw, np.float32).reshape(shape)


def _main(command: str, *arguments: str) -> None:
    commands: dict[str, Any] = {"simulate": simulate, "export": export}
    commands[command](*arguments)


if __name__ == "__main__":
    _main(*sys.argv[1:])
