from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from openqnn.network import pieces
from openqnn.network.onnx_network import Network
from openqnn.network.relay import Relay, Runner
from tests.networks import vit
from tests.unit.quantization.test_equalise import _pictures
from tests.unit.quantization.test_widths import _int8

PICTURES = [
    np.random.default_rng(seed).standard_normal((1, 3, vit.SIZE, vit.SIZE), np.float32)
    for seed in range(3)
]


def _whole(path: Path, picture: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"pixel_values": picture})[0])


def _through_pieces(path: Path, least: int) -> tuple[int, list[np.ndarray]]:
    network = Network.load(path)
    extractor = pieces.Extractor(network)
    cut = pieces.cut(network, least)
    line = Relay(PICTURES)
    for piece in cut:
        assert len(list(line.through(Runner(piece, extractor.model(piece), path.parent)))) == 3
    return len(cut), list(line.values)


@pytest.mark.parametrize("least", [1, 20, 10_000])
def test_pieces_compute_what_the_whole_does(tmp_path: Path, least: int) -> None:
    path = vit.write(tmp_path)
    count, results = _through_pieces(path, least)
    assert count == 1 if least == 10_000 else count > 2
    for picture, result in zip(PICTURES, results, strict=True):
        np.testing.assert_allclose(result, _whole(path, picture), atol=1e-5)


def test_quantised_networks_are_cut_between_a_quantiser_and_what_reads_it(tmp_path: Path) -> None:
    _pictures(tmp_path / "calibration", 10, seed=1)
    path, _ = _int8(tmp_path, vit.write(tmp_path))
    network = Network.load(path)
    cut = pieces.cut(network, 20)
    producers, readers = network.producers(), network.consumers()
    assert len(cut) > 1
    for piece in cut[:-1]:
        assert producers[piece.result].op_type == "QuantizeLinear"
        assert {node.op_type for node, _ in readers[piece.result]} == {"DequantizeLinear"}


def test_quantising_operators_of_the_runtime_itself_round_as_those_of_onnx(tmp_path: Path) -> None:
    """They are what ONNX Runtime for Python 3.10 has where a network has opset 23."""
    _pictures(tmp_path / "calibration", 10, seed=1)
    path, _ = _int8(tmp_path, vit.write(tmp_path))
    _, results = _through_pieces(path, 20)
    for picture, result in zip(PICTURES, results, strict=True):
        np.testing.assert_array_equal(result, _whole(path, picture))


def test_every_piece_makes_what_it_needs_of_constants_and_other_inputs() -> None:
    """y = ((x + s) + s), s = choice + 1; neither s nor the choice goes from piece to piece."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Add", ["choice", "one"], ["s"]),
        helper.make_node("Add", ["x", "s"], ["middle"]),
        helper.make_node("Add", ["middle", "s"], ["y"]),
    ]
    inputs = [value(name, TensorProto.FLOAT, [1]) for name in ("x", "choice")]
    ones = numpy_helper.from_array(np.ones(1, np.float32), "one")
    graph = helper.make_graph(nodes, "g", inputs, [value("y", TensorProto.FLOAT, [1])], [ones])
    opset = [helper.make_opsetid("", 21)]
    network = Network(helper.make_model(graph, ir_version=10, opset_imports=opset), Path())
    cut = pieces.cut(network, 1)
    assert [(piece.source, piece.result) for piece in cut] == [("x", "middle"), ("middle", "y")]
    assert [len(piece.nodes) for piece in cut] == [2, 2]
    line = Relay([np.array([5], np.float32)], {"choice": np.array([2], np.float32)})
    for piece in cut:
        list(line.through(Runner(piece, pieces.Extractor(network).model(piece), Path())))
    assert line.values[0].tolist() == [11]


def test_an_output_ends_no_piece_and_stays_in_the_one_that_makes_it() -> None:
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Relu", [source], [other]) for source, other in ("xa", "ab", "by")]
    ends = [value(name, TensorProto.FLOAT, [1]) for name in "xay"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    network = Network(helper.make_model(graph), Path())
    extractor = pieces.Extractor(network)
    models = [extractor.model(piece) for piece in pieces.cut(network, 1)]
    names = [[end.name for end in model.graph.output] for model in models]
    assert names == [["a", "b"], ["y"]], "a is left behind, b connects"
