from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from openqnn.network.onnx_network import Network
from scripts.quantization.scaling import FIXED, Scaling, Variables
from tests.networks import outliers, vit


def _run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(5).standard_normal((1, 3, vit.SIZE, vit.SIZE), np.float32)
    return np.asarray(session.run(None, {"pixel_values": picture})[0])


def _free(scaling: Scaling) -> list[int]:
    return [site.size for site in scaling.sites() if site.size]


@pytest.mark.parametrize("form", vit.FORMS)
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_factors_leave_the_function_as_it_is(
    tmp_path: Path, form: str, gated: bool, seed: int
) -> None:
    path = vit.write(tmp_path, gated=gated, form=form)
    scaled = outliers.write(path, tmp_path / "out.onnx", seed)
    np.testing.assert_allclose(_run(scaled), _run(path), atol=2e-4)


@pytest.mark.parametrize("form", vit.FORMS)
def test_finds_every_freedom_of_a_gated_block(tmp_path: Path, form: str) -> None:
    scaling = Scaling(Network.load(vit.write(tmp_path, form=form, layers=1)))
    # LayerNorm to q, k and v; q against k, each rotated pair alike; v to the output projection;
    # LayerNorm to gate and up; up to down. The residual and the last LayerNorm are not free.
    freedoms = [vit.WIDTH, vit.WIDTH // 2, vit.WIDTH, vit.WIDTH, vit.HIDDEN]
    assert sorted(_free(scaling)) == sorted(freedoms)


def test_a_norm_without_mean_is_a_norm(tmp_path: Path) -> None:
    path = vit.write(tmp_path, rms=True)
    assert _free(Scaling(Network.load(path))) == _free(Scaling(Network.load(vit.write(tmp_path))))
    path = vit.write(tmp_path, rms=True)
    scaled = outliers.write(path, tmp_path / "out.onnx", 0)
    np.testing.assert_allclose(_run(scaled), _run(path), atol=2e-4)


def test_nothing_passes_a_gelu(tmp_path: Path) -> None:
    gated = Scaling(Network.load(vit.write(tmp_path, gated=True)))
    plain = Scaling(Network.load(vit.write(tmp_path, gated=False)))
    assert sum(_free(gated)) - sum(_free(plain)) == 2 * vit.HIDDEN


def test_activations_really_get_outliers(tmp_path: Path) -> None:
    path = vit.write(tmp_path, layers=1)
    scaling = Scaling(Network.load(path))
    scaled = Network.load(outliers.write(path, tmp_path / "out.onnx", 0))
    norm = next(node for node in scaled.graph.node if node.op_type == "LayerNormalization")
    gamma = np.abs(np.asarray(scaled.array(norm.input[1]), np.float64))
    assert gamma.max() > 10 * np.median(gamma)
    assert scaling.axes(norm.output[0]) == [0, 1]


def test_a_shared_constant_is_copied_before_it_is_scaled(tmp_path: Path) -> None:
    path = vit.write(tmp_path)
    model = onnx.load(path)
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    norms[1].input[1] = norms[-1].input[1] = norms[0].input[1]
    onnx.save(model, path)
    scaled = outliers.write(path, tmp_path / "out.onnx", 0)
    np.testing.assert_allclose(_run(scaled), _run(path), atol=2e-4)


def test_variables_tied_to_their_own_reciprocal_are_one() -> None:
    variables = Variables()
    a, b = variables.new(2).tolist()
    variables.tie(a, b, 1)
    assert variables.free(np.array([a]))
    variables.tie(a, b, -1)
    assert not variables.free(np.array([a]))
    assert variables.resolve(np.array([a, b]))[0].tolist() == [FIXED, FIXED]


def test_powers_multiply_along_ties() -> None:
    variables = Variables()
    a, b, c = variables.new(3).tolist()
    variables.tie(a, b, -1)
    variables.tie(b, c, -1)
    roots, powers = variables.resolve(np.array([a, b, c]))
    assert len({*roots.tolist()}) == 1
    assert powers[0] == powers[2] == -powers[1]


def test_a_pin_reaches_everything_tied() -> None:
    variables = Variables()
    a, b = variables.new(2).tolist()
    variables.pin(np.array([a]))
    variables.tie(a, b, -1)
    assert not variables.free(np.array([b]))
