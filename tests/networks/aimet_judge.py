"""What AIMET's own ways of quantising make of a network; it knows nothing of this project.

    MODEL HOW CALIBRATION HELD_OUT OUT    in an environment with AIMET, see tests/aimet.py

CALIBRATION and HELD_OUT are folders of float32 raws. OUT is a `.npz` of the outputs for the
held-out pictures, [pictures, ...]: `float` of ONNX Runtime, `simulated` of AIMET's simulation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from aimet_onnx import int8, int16
from aimet_onnx.lite_mp import flip_layers_to_higher_precision
from aimet_onnx.quant_analyzer import analyze_per_layer_sensitivity
from aimet_onnx.quantsim import QuantizationSimModel
from aimet_onnx.sequential_mse.seq_mse import apply_seq_mse

# Pictures that tell what a layer loses, and that weights are fitted to.
ANALYSED, FITTED = 1, 8
# The share of layers that are raised, in percent: AIMET's default.
FLIPPED = 10

Inputs = list[dict[str, Any]]


def with_lite_mp(simulation: Any, inputs: Inputs, exact: Any) -> None:
    """Raise the layers that lose most to 16 bits, as AIMET's helper does by default."""
    signal = _outputs(exact, inputs[:ANALYSED])

    def snr_db(session: Any) -> float:
        noise = _outputs(session, inputs[:ANALYSED]) - signal
        return float(10 * np.log10((signal**2).mean() / max((noise**2).mean(), 1e-30)))

    losses = analyze_per_layer_sensitivity(simulation, snr_db)
    flip_layers_to_higher_precision(simulation, losses, FLIPPED, (int8, int16))
    simulation.compute_encodings(inputs)


def with_seq_mse(simulation: Any, inputs: Inputs, _: Any) -> None:
    """Fit the scales of weights to what layers give."""
    apply_seq_mse(simulation, inputs[:FITTED])
    simulation.compute_encodings(inputs)


WAYS: dict[str, tuple[int, Any]] = {
    "w8a8": (8, None),
    "w8a8, lite_mp": (8, with_lite_mp),
    "w8a16": (16, None),
    "w8a16, SeqMSE": (16, with_seq_mse),
}


def _outputs(session: Any, inputs: Inputs) -> Any:
    return np.concatenate([session.run(None, feed)[0] for feed in inputs])


def _inputs(folder: str, value: onnx.ValueInfoProto) -> Inputs:
    shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    raws = sorted(Path(folder).glob("*.raw"))
    return [{value.name: np.fromfile(raw, np.float32).reshape(shape)} for raw in raws]


def main(model: str, how: str, calibration: str, held_out: str, out: str) -> None:
    """Write the outputs of a network, in float32 and in AIMET's simulation."""
    network = onnx.load(model)
    (value,) = network.graph.input
    inputs, pictures = (_inputs(folder, value) for folder in (calibration, held_out))
    exact = onnxruntime.InferenceSession(model)
    bits, improve = WAYS[how]
    simulation = QuantizationSimModel(
        network, param_type="int8", activation_type=f"int{bits}", config_file="htp_v73"
    )
    simulation.compute_encodings(inputs)
    if improve:
        improve(simulation, inputs, exact)
    features = {"float": _outputs(exact, pictures)}
    np.savez(out, simulated=_outputs(simulation.session, pictures), **features)


if __name__ == "__main__":
    main(*sys.argv[1:])
