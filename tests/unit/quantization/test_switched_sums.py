from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, recipe
from openqnn.quantization.encodings import Encoding, Encodings
from openqnn.quantization.observe import Range
from scripts import byte_sums
from scripts.lowering.lower import lower
from scripts.outputs import TOKENS
from scripts.quantization import widths
from scripts.quantization.switched_sums import SwitchedSums
from scripts.quantization.trial import Trial
from tests.networks import vit

TOKEN_COUNT, INPUTS, OUTPUTS = 5, 700, 9


def _layer(folder: Path, seed: int, *, bias: bool = True) -> Network:
    """A linear layer, its weights all near the end of their range, as sums are largest then."""
    random = np.random.default_rng(seed)
    weight = random.choice([-1.0, 1.0, 0.97], (INPUTS, OUTPUTS)).astype(np.float32)
    constants = [numpy_helper.from_array(weight, "weight")]
    if bias:
        constants.append(numpy_helper.from_array(np.ones(OUTPUTS, np.float32), "bias"))
    node = helper.make_node("Gemm", ["pixels", *(one.name for one in constants)], ["features"])
    values = {"pixels": INPUTS, "features": OUTPUTS}
    source, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [TOKEN_COUNT, width])
        for name, width in values.items()
    )
    graph = helper.make_graph([node], "layer", [source], [result], constants)
    path = folder / "layer.onnx"
    opsets = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return Network.load(path)


def _encoded(network: Network, low: float, high: float) -> Encodings:
    most = 1.1 * INPUTS * max(high, -low)
    limits = {"pixels": Range(low, high), "features": Range(-most, most)}
    return recipe.encoded(network, limits, [], "min-max", widths.NARROW)


def _on(values: NDArray[np.float32], encoding: Encoding) -> NDArray[np.float64]:
    """Values on a grid, in float64."""
    integers = qdq.quantize(values, encoding).astype(np.float64)
    return (integers - encoding.zero_point) * np.float32(encoding.scale).astype(np.float64)


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("bits", [widths.NARROW, widths.WIDE])
@pytest.mark.parametrize("low", [-1.0, 0.0, -0.3, -40.0])
@pytest.mark.parametrize("bias", [True, False])
def test_sums_are_those_of_integers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unsigned: bool,
    bits: int,
    low: float,
    bias: bool,
) -> None:
    monkeypatch.setattr(byte_sums, "saturates", lambda: unsigned)
    network = _layer(tmp_path, seed=bits, bias=bias)
    encodings = _encoded(network, low, 1.0)
    pixels = np.random.default_rng(1).uniform(low, 1.0, (TOKEN_COUNT, INPUTS)).astype(np.float32)
    wide = {*network.float_tensors()} if bits == widths.WIDE else set[str]()
    (features,) = Trial(network, encodings, tmp_path)(wide, [pixels]).values()
    weight = qdq.quantize(network.array("weight"), encodings.params["weight"], 1)
    reals = weight * np.array(encodings.params["weight"].scales, np.float32).astype(np.float64)
    grid = encodings.activations["features"].anew(bits)
    exact = _on(pixels, encodings.activations["pixels"].anew(bits)) @ reals + bias
    assert np.abs(features - exact).max() < 0.51 * grid.scale
    assert np.count_nonzero(features != _on(exact.astype(np.float32), grid)) <= 1


def test_the_processor_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lower(vit.write(tmp_path, layers=2), tmp_path / "lowered.onnx", "int8", [])
    network = Network.load(tmp_path / "lowered.onnx")
    recipe.separate_constants(network)
    limits = dict.fromkeys(recipe.measured(network), Range(-4.0, 4.0))
    encodings = recipe.encoded(network, limits, [], "min-max", widths.NARROW)
    pixels = np.random.default_rng(2).normal(size=(1, 3, vit.SIZE, vit.SIZE)).astype(np.float32)
    kinds = widths.kinds(network)
    outputs = []
    for unsigned in (False, True):
        monkeypatch.setattr(byte_sums, "saturates", lambda unsigned=unsigned: unsigned)
        folder = tmp_path / str(unsigned)
        folder.mkdir()
        trial = Trial(network, encodings, folder)
        some = {name for kind in [*kinds][::2] for name in kinds[kind]}
        outputs.append([trial(wide, [pixels])[TOKENS] for wide in ((), some, {*trial.tensors})])
    monkeypatch.setattr(SwitchedSums, "reads", lambda *_: "")
    (tmp_path / "floats").mkdir()
    floats = Trial(network, encodings, tmp_path / "floats")
    for signed, unsigned_weights in zip(*outputs, strict=True):
        np.testing.assert_array_equal(signed, unsigned_weights)
    everything = floats({*floats.tensors}, [pixels])[TOKENS]
    assert np.abs(outputs[0][-1] - everything).max() < 1e-3 * np.abs(everything).max()
