from argparse import Namespace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import observe, qdq, recipe
from scripts import artefacts, metrics
from scripts.quantization import equalise
from scripts.quantization.scaling import Scaling
from scripts.stages import quantize
from tests.networks import outliers, vit


def _features(model: Path, raws: list[Path]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    shape = (1, 3, vit.SIZE, vit.SIZE)
    pictures = [np.fromfile(raw, np.float32).reshape(shape) for raw in raws]
    return np.concatenate([session.run(None, {"pixel_values": one})[0] for one in pictures])


def _pictures(folder: Path, count: int, seed: int) -> list[Path]:
    folder.mkdir()
    random = np.random.default_rng(seed)
    paths = [folder / f"{index}.raw" for index in range(count)]
    for path in paths:
        random.standard_normal((3, vit.SIZE, vit.SIZE), np.float32).tofile(path)
    (folder / "input_list.txt").write_text("".join(f"{path}\n" for path in paths))
    return paths


def _quantized(folder: Path, network: Path, precision: str, *, equal: bool) -> Path:
    quantize.main(
        Namespace(
            model="digits",
            precision=precision,
            onnx=network,
            calibration=folder / "calibration",
            method="min-max",
            equalise=equal,
            encodings=None,
            target="iq9075",
            widths=None,
            out=folder,
        )
    )
    made = folder / f"{precision}_{equal}.onnx"
    source = folder / artefacts.quantized_onnx("digits", precision)
    qdq.insert(source, folder / artefacts.encodings("digits", precision), made)
    return made


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("form", vit.FORMS)
@pytest.mark.parametrize(("precision", "least"), [("int8", 0.99), ("w8a16", 0.999)])
def test_outliers_do_no_harm(
    tmp_path: Path, gated: bool, form: str, precision: str, least: float
) -> None:
    _pictures(tmp_path / "calibration", 8, seed=1)
    held_out = _pictures(tmp_path / "heldout", 8, seed=2)
    plain = vit.write(tmp_path, gated=gated, form=form)
    network = outliers.write(plain, tmp_path / "outliers.onnx", seed=3)
    reference = _features(network, held_out)
    cosines = {}
    for equal in (False, True):
        made = _quantized(tmp_path, network, precision, equal=equal)
        cosines[equal] = metrics.cosine(reference, _features(made, held_out))[:, 0].mean()
    assert cosines[True] > least
    assert 1 - cosines[True] < (1 - cosines[False]) / 2


def test_a_later_opset_is_kept(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 8, seed=1)
    held_out = _pictures(tmp_path / "heldout", 4, seed=2)
    network = vit.write(tmp_path, rms=True)
    made = _quantized(tmp_path, network, "int8", equal=True)
    cosines = metrics.cosine(_features(network, held_out), _features(made, held_out))
    assert cosines.mean() > 0.99


def test_factors_are_coarse_so_that_noise_does_not_reach_the_file(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path / "calibration", 2, seed=1)
    network = Network.load(vit.write(tmp_path))
    scaling = Scaling(network)
    axes = {name: scaling.axes(name) for name in recipe.measured(network)}
    seen = observe.extremes(network, axes, pictures)
    factors = equalise.choose(network, scaling, seen)
    steps = np.log2(factors) * equalise.STEPS
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert np.unique(steps).size > 5
