"""A graph that covers only a part of the model is refused, naming the nodes that are left."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from openqnn import qnn
from openqnn.converter import wholeness
from openqnn.refusal import Refused
from tests.unit.openqnn import recorded


def network(folder: Path, *, determinant: bool = False) -> Path:
    """fc.out = f(pixel_values), last_hidden_state = turned; or with a node in between."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4])
        for name in ("pixel_values", "last_hidden_state")
    ]
    between = [helper.make_node("Det", ["fc.out"], ["det"], "determinant")] if determinant else []
    source = "det" if determinant else "fc.out"
    nodes = [
        helper.make_node("Relu", ["pixel_values"], ["fc.out"], "fc"),
        *between,
        helper.make_node("Relu", [source], ["last_hidden_state"], "turn"),
    ]
    path = folder / "x.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), path)
    return path


def test_the_whole_model_passes(tmp_path: Path) -> None:
    wholeness.check(recorded.graph(tmp_path / "record"), network(tmp_path))


def test_an_output_inside_the_model_names_what_reads_it(tmp_path: Path) -> None:
    lines = recorded.calls()
    lines[5]["type"] = qnn.APP_READ
    graph = recorded.graph(tmp_path / "record", lines)
    with pytest.raises(Refused, match=r"does not take Det determinant\."):
        wholeness.check(graph, network(tmp_path, determinant=True))


def test_an_input_inside_the_model_names_what_makes_it(tmp_path: Path) -> None:
    lines = recorded.calls()
    lines[2]["name"] = "det"
    graph = recorded.graph(tmp_path / "record", lines)
    with pytest.raises(Refused, match=r"does not take Det determinant\."):
        wholeness.check(graph, network(tmp_path, determinant=True))


def test_nodes_that_the_backend_refused_are_named_first(tmp_path: Path) -> None:
    refused = {"call": "refused", "name": "det", "type": "Det", "error": 3110}
    lines = [*recorded.calls()[:2], refused, *recorded.calls()[2:]]
    lines[3]["name"] = "det"
    graph = recorded.graph(tmp_path / "record", lines)
    with pytest.raises(Refused, match=r"does not take Det det \(error 3110\)\."):
        wholeness.check(graph, network(tmp_path, determinant=True))
