from pathlib import Path

import numpy as np
import onnx
import pytest

from openqnn.network import onnx_network
from openqnn.network.onnx_network import Network
from openqnn.quantization import observe, qdq, recipe
from openqnn.quantization.observe import Range
from scripts import artefacts, byte_sums, metrics
from scripts.lowering.lower import lower
from scripts.verification import integers
from tests.networks import vit
from tests.unit.quantization.test_equalise import _pictures
from tests.unit.quantization.test_widths import _int8


def test_unpacked_weights_do_not_change_the_integer_network(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    pictures = _pictures(tmp_path / "heldout", 3, seed=2)
    path, encodings = _int8(tmp_path, vit.write(tmp_path))
    encodings.save(tmp_path / "encodings.json")
    network = tmp_path / artefacts.quantized_onnx("digits", "int8")
    packed = Network.load(path)
    (output,) = (value.name for value in packed.graph.output)
    observer = observe.Observer(packed)
    observer.add_output(output)
    expected = np.concatenate(observer.collect(pictures, "packed")[output])
    outputs = integers.outputs(network, tmp_path / "encodings.json", pictures, tmp_path)
    assert outputs.keys() == {output}
    assert metrics.cosine(expected, outputs[output]).min() > 0.9999
    nodes = Network.load(tmp_path / "integers.onnx").graph.node
    unpacked = integers.unpacked(Network.load(tmp_path / "integers.onnx"), tmp_path / "again")
    assert len(unpacked.graph.node) < len(nodes)


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_linear_layers_in_integers_compute_what_they_do_in_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, unsigned: bool
) -> None:
    monkeypatch.setattr(byte_sums, "saturates", lambda: unsigned)
    lower(vit.write(tmp_path, layers=2), tmp_path / "lowered.onnx", "int8", [])
    network = Network.load(tmp_path / "lowered.onnx")
    recipe.separate_constants(network)
    limits = dict.fromkeys(recipe.measured(network), Range(-4.0, 4.0))
    encodings = recipe.encoded(network, limits, [], "min-max", bits)
    qdq.write(network, encodings, tmp_path / "packed.onnx")
    packed = Network.load(tmp_path / "packed.onnx")
    pictures = _pictures(tmp_path / "heldout", 2, seed=2)
    expected = observe.outputs(packed, pictures, "floats")
    unpacked = integers.unpacked(packed, tmp_path / "unpacked.onnx_data")
    operators = [node.op_type for node in unpacked.graph.node]
    layers = [node for node in network.graph.node if node.op_type == "Gemm"]
    assert operators.count("MatMulIntegerToFloat") == bits // 8 * len(layers) > 0
    found = observe.outputs(unpacked, pictures, "integers")
    for name, values in expected.items():
        pairs = zip(values, found[name], strict=True)
        assert min(metrics.cosine(*map(metrics.vectors, pair)).min() for pair in pairs) > 0.9999


@pytest.mark.parametrize("unsigned", [False, True])
def test_the_packed_network_stays_what_it_says_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsigned: bool
) -> None:
    monkeypatch.setattr(byte_sums, "saturates", lambda: unsigned)
    # Smaller constants stay inside the model; weights of this network have 256 bytes and more.
    monkeypatch.setattr(onnx_network, "INLINE_BYTES", 256)
    lower(vit.write(tmp_path, layers=2), tmp_path / "lowered.onnx", "int8", [])
    network = Network.load(tmp_path / "lowered.onnx")
    recipe.separate_constants(network)
    onnx.save(network.model, tmp_path / "separate.onnx")
    limits = dict.fromkeys(recipe.measured(network), Range(-4.0, 4.0))
    encodings = recipe.encoded(network, limits, [], "min-max", 16)
    encodings.save(tmp_path / "encodings.json")
    pictures = _pictures(tmp_path / "heldout", 2, seed=2)
    files = tmp_path / "separate.onnx", tmp_path / "encodings.json"
    outputs = integers.outputs(*files, pictures, tmp_path)
    # What `layers` compares is the packed network, whose weights lie in a file.
    expected = observe.outputs(Network.load(tmp_path / "integers.onnx"), pictures, "packed")
    for name, values in expected.items():
        assert metrics.cosine(np.concatenate(values), outputs[name]).min() > 0.9999
