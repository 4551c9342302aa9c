import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from openqnn.network.onnx_network import Network
from openqnn.quantization.encodings import Encodings, asymmetric
from scripts import artefacts
from scripts.stages import diagnose, quantize
from scripts.verification import layers
from tests.networks import vit
from tests.unit.quantization.test_equalise import _pictures


def _diagnose(folder: Path) -> list[dict[str, Any]]:
    diagnose.main(
        Namespace(
            out=folder,
            precision="w8a16",
            onnx=folder / artefacts.quantized_onnx("digits", "w8a16"),
            encodings=folder / artefacts.encodings("digits", "w8a16"),
            inputs=folder / "calibration",
            count=2,
        )
    )
    layers: list[dict[str, Any]] = json.loads(
        (folder / "diagnosis" / "w8a16" / "layers.json").read_text()
    )
    return layers


def test_names_the_layer_that_was_spoilt(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 8, seed=1)
    quantize.main(
        Namespace(
            model="digits",
            precision="w8a16",
            onnx=vit.write(tmp_path),
            calibration=tmp_path / "calibration",
            method="min-max",
            equalise=True,
            encodings=None,
            target="iq9075",
            widths=None,
            out=tmp_path,
        )
    )
    before = _diagnose(tmp_path)
    path = tmp_path / artefacts.encodings("digits", "w8a16")
    encodings = Encodings.load(path)
    residual = layers.residual(Network.load(tmp_path / "vit.onnx"))
    encodings.activations[residual[2]] = asymmetric(-1e4, 1e4, 16)
    encodings.save(path)
    after = _diagnose(tmp_path)
    assert [layer["tensor"] for layer in after] == residual
    lost = [old["snr_db"] - new["snr_db"] for old, new in zip(before, after, strict=True)]
    assert max(lost[:2]) < 0.1
    assert lost[2] > 10
