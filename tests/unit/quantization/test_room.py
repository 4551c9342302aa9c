"""Nothing saturates in silence: constants fit their integers at the widths that are chosen."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization import clipping, encodings, qdq, recipe, sharing
from openqnn.quantization.encodings import Encodings
from openqnn.quantization.observe import Range
from openqnn.refusal import Refused
from scripts.quantization import widths
from tests.networks import vit

BIAS = -39.7


def _network(folder: Path) -> tuple[Network, Encodings]:
    """A network with a bias that is large beside the weights of its channel, and 8 bits."""
    network = Network.load(vit.write(folder, form="gemm", layers=1))
    gemm = next(node for node in network.graph.node if node.op_type == "Gemm")
    weight = np.array(network.array(gemm.input[1]))
    weight[0] = 1e-3
    bias = np.array(network.array(gemm.input[2]))
    bias[0] = BIAS
    for name, values in ((gemm.input[1], weight), (gemm.input[2], bias)):
        network.constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    recipe.separate_constants(network)
    limits = dict.fromkeys(recipe.measured(network), Range(-1.0, 1.0))
    return network, recipe.encoded(network, limits, [], "min-max", 8)


def _biases(model: onnx.ModelProto, folder: Path) -> list[np.ndarray]:
    """The biases that a quantised network adds, as real numbers."""
    network = Network(model, folder)
    found = []
    dequantised = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type == "Gemm":
            integers, scale, _ = dequantised[node.input[2]].input
            found.append(np.asarray(network.array(integers)) * np.asarray(network.array(scale)))
    return found


@pytest.mark.parametrize("wide", [False, True])
def test_biases_fit_at_the_widths_that_are_chosen(tmp_path: Path, wide: bool) -> None:
    network, made = _network(tmp_path)
    if wide:
        made = widths.raised(network, made, set(sharing.quantized_as(network)))
    biases = _biases(qdq.write(network, made, tmp_path / "qdq.onnx"), tmp_path)
    assert min(bias.min() for bias in biases) == pytest.approx(BIAS, rel=1e-3)


def test_a_bias_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    network, made = _network(tmp_path)
    source = sharing.quantized_as(network)
    unfitted = Encodings(widths.at(made.activations, source, 16), made.params)
    with pytest.raises(Refused, match=r"reaches 39\.7, more than its 32 bits hold"):
        qdq.write(network, unfitted, tmp_path / "qdq.onnx")


def test_scales_grow_only_where_a_bias_needs_them(tmp_path: Path) -> None:
    network, made = _network(tmp_path)
    raised = widths.raised(network, made, set(sharing.quantized_as(network)))
    grown = [
        (before, after)
        for name in made.params
        for before, after in zip(made.params[name].scales, raised.params[name].scales, strict=False)
        if made.params[name].bits == raised.params[name].bits and before != after
    ]
    assert len(grown) == 1
    assert grown[0][1] > grown[0][0]


def test_sixteen_bits_come_from_what_was_observed() -> None:
    # The grid of 8 bits cuts the lower end off, by nearly half of its steps.
    narrow = encodings.asymmetric(-0.104, 2.446, 8)
    assert narrow.range()[0] > -0.101
    assert narrow.at(16).range()[0] > -0.101
    assert narrow.anew(16).range()[0] == pytest.approx(-0.104, abs=1e-4)
    assert narrow.anew(8) is narrow


def test_a_cut_range_is_whole_again_at_16_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipping, "cut", lambda histogram, method, bits: Range(-0.5, 0.5))
    network = Network.load(vit.write(tmp_path, layers=1))
    raw = tmp_path / "0.raw"
    np.random.default_rng(1).standard_normal((3, vit.SIZE, vit.SIZE), np.float32).tofile(raw)
    recipe.separate_constants(network)
    limits = dict.fromkeys(recipe.measured(network), Range(-2.0, 3.0))
    made = recipe.activation_encodings(network, limits, [raw], "mse", 8)
    for name in limits:
        assert made[name].range()[1] < 0.6
        assert made[name].anew(16) == encodings.asymmetric(-2.0, 3.0, 16)


def test_no_constant_is_cut_off(tmp_path: Path) -> None:
    network, made = _network(tmp_path)
    raised = widths.raised(network, made, list(sharing.quantized_as(network))[::3])
    for node in network.graph.node:
        for index, name in enumerate(node.input):
            if name in raised.params and roles.role(node, index) is roles.Role.WEIGHT:
                values = np.asarray(network.array(name))
                axis = roles.output_axis(node, values.ndim)
                others = tuple(one for one in range(values.ndim) if one != axis)
                most = np.abs(values).max(axis=others)
                scales = np.array(raised.params[name].scales)
                assert (most <= scales * 127.5).all()
