from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import observe
from tests.networks import standins, vit


def _run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(5).standard_normal((1, 3, vit.SIZE, vit.SIZE), np.float32)
    return np.asarray(session.run(None, {"pixel_values": picture})[0])


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_kind_g_is_the_same_function_with_outliers(tmp_path: Path, gated: bool, seed: int) -> None:
    plain = vit.write(tmp_path, gated=gated)
    made = standins.kind_g(plain, tmp_path / "g.onnx", seed)
    np.testing.assert_allclose(_run(made), _run(plain), atol=2e-4)
    ratios = []
    for network in (Network.load(plain), Network.load(made)):
        norm = next(n for n in network.graph.node if n.op_type == "LayerNormalization")
        gain = np.abs(np.asarray(network.array(norm.input[1])))
        ratios.append(gain.max() / np.median(gain))
    assert ratios[1] > 10 * ratios[0]


def test_kind_g_scales_the_up_projection_of_a_gated_mlp(tmp_path: Path) -> None:
    plain, pictures = vit.write(tmp_path), [np.ones((1, 3, vit.SIZE, vit.SIZE), np.float32)]
    made = standins.kind_g(plain, tmp_path / "g.onnx", 1)
    widest = []
    for path in (plain, made):
        network = Network.load(path)
        products = {n.output[0]: () for n in network.graph.node if n.op_type == "Mul"}
        seen = observe.extremes(network, products, pictures)  # type: ignore[arg-type]
        widest.append(max(one.range().magnitude for one in seen.values()))
    assert widest[1] > 5 * widest[0]


@pytest.mark.parametrize("gated", [True, False])
def test_kind_m_starts_every_token_with_three_channels_far_from_zero(
    tmp_path: Path, gated: bool
) -> None:
    path = standins.kind_m(vit.write(tmp_path, gated=gated), tmp_path / "m.onnx", 1)
    least = np.abs(_start(path)).min(axis=0)
    assert (least > standins.HEIGHT / 2).sum() == standins.MASSIVE
    assert np.isfinite(_run(path)).all()


def _start(path: Path) -> np.ndarray:
    """The stream as it starts, [tokens, channels]."""
    network = Network.load(path)
    joined = next(node for node in network.graph.node if node.op_type == "Concat").output[0]
    observer = observe.Observer(network)
    observer.add_output(joined)
    pictures = [np.random.default_rng(0).standard_normal((1, 3, vit.SIZE, vit.SIZE), np.float32)]
    (tokens,) = observer.collect(pictures, "tokens")[joined]
    return np.asarray(tokens[0])


def test_kind_r_has_massive_registers_and_no_other_tokens(tmp_path: Path) -> None:
    plain = vit.write(tmp_path, gated=False)
    made = standins.kind_r(plain, tmp_path / "r.onnx", 1)
    lifted = np.abs(_start(made) - _start(plain)).max(axis=1)
    registers = slice(1, 1 + vit.REGISTERS)
    assert (lifted[registers] > standins.HEIGHT / 2).all()
    assert np.delete(lifted, registers).max() < 1e-5
    assert np.isfinite(_run(made)).all()


def test_kind_m_has_the_height_and_the_channels_that_are_asked_for(tmp_path: Path) -> None:
    plain = vit.write(tmp_path, gated=False)
    made = standins.kind_m(plain, tmp_path / "m.onnx", 1, height=80.0, channels=4)
    lifted = np.abs(_start(made) - _start(plain)).min(axis=0)
    np.testing.assert_allclose(np.sort(lifted)[-4:], 80.0, rtol=1e-5)
    assert np.sort(lifted)[:-4].max() < 1e-4


def test_kind_b_is_kind_g_in_bfloat16(tmp_path: Path) -> None:
    plain = vit.write(tmp_path)
    kind_g, kind_b = (
        Network.load(kind(plain, tmp_path / f"{kind.__name__}.onnx", 1))
        for kind in (standins.kind_g, standins.kind_b)
    )
    for name in filter(kind_g.is_float, kind_g.constants):
        exact, rounded = (np.asarray(network.array(name)) for network in (kind_g, kind_b))
        assert not np.any(rounded.view(np.uint32) & 0xFFFF)
        np.testing.assert_allclose(rounded, exact, rtol=2**-8)
