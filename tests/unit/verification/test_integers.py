from pathlib import Path

import numpy as np

from openqnn.network.onnx_network import Network
from openqnn.quantization import observe
from scripts import artefacts, metrics
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
