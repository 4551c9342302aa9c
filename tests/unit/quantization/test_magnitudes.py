import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import onnx
import pytest

from openqnn.network.onnx_network import DataFile, Network
from scripts import artefacts
from scripts.errors import GateError
from scripts.pictures import image_set
from scripts.quantization import magnitudes
from scripts.quantization.magnitudes import Magnitude
from scripts.stages import audit
from tests.networks import vit
from tests.unit.quantization.test_equalise import _pictures


def _audit(folder: Path, onnx_file: Path, precision: str) -> dict[str, dict[str, float]]:
    if not (folder / "calibration").exists():
        _pictures(folder / "calibration", 3, seed=1)
    audit.main(
        Namespace(
            model="digits",
            precision=precision,
            onnx=onnx_file,
            calibration=folder / "calibration",
            count=2,
            out=folder,
        )
    )
    text = (folder / artefacts.ranges("digits", precision)).read_text()
    return dict(json.loads(text))


def _with_large_bias(source: Path, out: Path, height: float) -> Path:
    """Write a network whose residual stream is `height` in one channel."""
    network = Network.load(source)
    bias = next(node.input[2] for node in network.graph.node if node.op_type == "Conv")
    values = np.array(network.array(bias))
    values[0] = height
    with DataFile(out.with_suffix(".onnx_data")) as data:
        for tensor in network.graph.initializer:
            own = values if tensor.name == bias else network.array(tensor.name)
            tensor.CopyFrom(data.store(tensor.name, own))
    onnx.save(network.model, out)
    return out


def test_every_activation_is_in_the_table_and_few_values_are_beyond_the_usual(
    tmp_path: Path,
) -> None:
    source = vit.write(tmp_path)
    activations = _audit(tmp_path, source, "fp16")
    assert list(activations) == list(Network.load(source).float_tensors())
    assert all(
        0 < activation["usual"] <= activation["largest"] for activation in activations.values()
    )
    pictures = [
        np.fromfile(raw, np.float32) for raw in image_set.raws(tmp_path / "calibration")[:2]
    ]
    assert activations["pixel_values"]["largest"] == pytest.approx(np.abs(pictures).max())


def test_float16_is_refused_where_it_would_overflow_and_other_precisions_are_not(
    tmp_path: Path,
) -> None:
    wide = _with_large_bias(vit.write(tmp_path), tmp_path / "wide.onnx", 1e5)
    assert _audit(tmp_path, wide, "w8a16")
    with pytest.raises(GateError, match=r"float16, first \S+: it reaches 1e\+05"):
        _audit(tmp_path, wide, "fp16")
    assert (tmp_path / artefacts.ranges("digits", "fp16")).is_file()


@pytest.mark.parametrize("largest", [65505.0, float("inf"), float("nan")])
def test_what_float16_cannot_hold_is_refused(largest: float) -> None:
    magnitudes.require_float16({"fits": Magnitude(65504.0, 1.0)})
    with pytest.raises(GateError, match="beyond"):
        magnitudes.require_float16({"fits": Magnitude(1.0, 1.0), "beyond": Magnitude(largest, 1.0)})
