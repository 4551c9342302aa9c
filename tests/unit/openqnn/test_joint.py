"""The graphs of a model's pieces become one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openqnn import qnn
from openqnn.converter import record
from openqnn.refusal import Refused
from tests.unit.openqnn import recorded
from tests.unit.openqnn.recorded import node, tensor

OTHER_BIAS = np.array([7.0, 8.0, 9.0], np.float32)


def _pieces(**between: Any) -> list[dict[str, Any]]:
    """Return two graphs: a sum whose result, `between`, the second one adds the same bias to."""
    return [
        {"call": "graph", "name": "a", "configs": []},
        tensor(1, "x", qnn.APP_WRITE, [2, 3]),
        tensor(3, "bias", qnn.STATIC, [3], bytes=12),
        tensor(4, "y", qnn.APP_READ, [2, 3]),
        node("add", "ElementWiseAdd", [1, 3], [4]),
        {"call": "finalize"},
        {"call": "graph", "name": "b", "configs": []},
        {**tensor(7, "y", qnn.APP_WRITE, [2, 3]), **between},
        tensor(8, "bias", qnn.STATIC, [3], bytes=12),
        tensor(9, "z", qnn.APP_READ, [2, 3]),
        node("add", "ElementWiseAdd", [7, 8], [9]),
        {"call": "finalize"},
    ]


def _graph(folder: Path, lines: list[dict[str, Any]], bias: np.ndarray) -> record.Graph:
    recorded.write(folder, lines)
    (folder / "8.raw").write_bytes(bias.tobytes())
    return record.load(folder)


def test_what_connects_two_pieces_is_inside_and_a_constant_of_both_is_one(tmp_path: Path) -> None:
    graph = _graph(tmp_path, _pieces(), recorded.BIAS)
    kinds = {tensor.name: tensor.type for tensor in graph.tensors}
    assert kinds == {"x": qnn.APP_WRITE, "bias": qnn.STATIC, "y": qnn.NATIVE, "z": qnn.APP_READ}
    first, second = graph.nodes
    assert second.inputs == (first.outputs[0], first.inputs[1])
    assert [tensor.name for tensor in graph.weights] == ["bias"]
    assert not (tmp_path / "8.raw").exists()


def test_names_given_twice_get_a_number(tmp_path: Path) -> None:
    graph = _graph(tmp_path, _pieces(), OTHER_BIAS)
    first, second = graph.nodes
    assert [first.name, second.name] == ["add", "add.2"]
    assert [weight.inputs[1].name for weight in (first, second)] == ["bias", "bias.2"]
    assert np.array_equal(np.fromfile(graph.raw(second.inputs[1]), np.float32), OTHER_BIAS)


def test_a_parameter_belongs_to_its_node_alone(tmp_path: Path) -> None:
    lines = _pieces()
    for place, number in ((4, 3), (10, 8)):
        lines[place]["inputs"] = lines[place]["inputs"][:1]
        lines[place]["params"] = [{"name": "perm", "tensor": number}]
    graph = _graph(tmp_path, lines, recorded.BIAS)
    params = [weight.params[0] for weight in graph.nodes]
    assert [weight.tensor.name for weight in params if isinstance(weight, record.TensorParam)] == [
        "bias",
        "bias.2",
    ]


@pytest.mark.parametrize(
    "between", [{"dtype": qnn.FLOAT_16}, {"dims": [3, 2]}, {"quantization": {"encoding": 0}}]
)
def test_pieces_that_disagree_about_what_connects_them_are_refused(
    tmp_path: Path, between: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="disagree about y"):
        _graph(tmp_path, _pieces(**between), recorded.BIAS)


def test_a_piece_that_does_not_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="1 of 2 graphs"):
        _graph(tmp_path, _pieces()[:-1], recorded.BIAS)
