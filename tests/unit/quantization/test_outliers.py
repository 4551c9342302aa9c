"""The outlier stand-ins, from the trained digits through lowering to integers on the CPU."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from openqnn.quantization import qdq
from scripts import artefacts, metrics
from scripts.picture_size import PictureSize
from scripts.stages import calibrate, quantize
from tests.networks import outliers

pytestmark = pytest.mark.torch
SIZE = PictureSize.square(32)
DIGITS = Path(__file__).parents[3] / "scripts" / "catalog" / "digits"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from scripts.stages import export, images  # torch and scikit-learn are in the image only

    made = tmp_path_factory.mktemp("outliers")
    images.main(Namespace(out=made, set="digits"))
    for name in ("calibration", "heldout"):
        calibrate.main(
            Namespace(
                out=made,
                images=made / "images" / "digits" / name,
                set=name,
                size=SIZE,
                count=24,
                weights=DIGITS,
                model="digits",
                exclude=None,
                beside=0,
            )
        )
    export.main(
        Namespace(
            out=made, model="digits", weights=str(DIGITS), size=SIZE, outputs="tokens", check=None
        )
    )
    return made


def _features(model: Path, raws: Path) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    pictures = [
        np.fromfile(raw, np.float32).reshape(1, 3, 32, 32) for raw in sorted(raws.glob("*.raw"))
    ]
    return np.concatenate([session.run(None, {"pixel_values": one})[0] for one in pictures])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("precision", "least"), [("int8", 0.99), ("w8a16", 0.999)])
def test_stand_ins_hold_through_lowering(
    root: Path, tmp_path: Path, seed: int, precision: str, least: float
) -> None:
    from scripts.lowering.lower import lower

    standin = outliers.write(
        root / artefacts.eager_onnx("digits"), tmp_path / "outliers.onnx", seed
    )
    lowered = tmp_path / "lowered.onnx"
    lower(standin, lowered, precision, [])
    quantize.main(
        Namespace(
            model="digits",
            precision=precision,
            onnx=lowered,
            calibration=root / artefacts.image_set("calibration"),
            method="min-max",
            equalise=True,
            encodings=None,
            target="iq9075",
            widths=None,
            out=tmp_path,
        )
    )
    made = tmp_path / "qdq.onnx"
    source = tmp_path / artefacts.quantized_onnx("digits", precision)
    qdq.insert(source, tmp_path / artefacts.encodings("digits", precision), made)
    held_out = root / artefacts.image_set("heldout")
    cosines = metrics.cosine(_features(standin, held_out), _features(made, held_out))
    assert cosines[:, 0].mean() > least
    assert cosines.mean() > least
