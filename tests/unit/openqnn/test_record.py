"""What the recorder writes is read back whole, or refused."""

from pathlib import Path

import pytest

from openqnn import qnn
from openqnn.converter import record
from openqnn.refusal import Refused
from tests.unit.openqnn import recorded


def test_keeps_the_order_of_calls(tmp_path: Path) -> None:
    graph = recorded.graph(tmp_path)
    names = [call.name for call in graph.calls]
    assert names == [
        "pixel_values", "fc.weight", "fc/bias", "fc.out", "fc", "perm", "last_hidden_state", "turn",
    ]  # fmt: skip


def test_parameters_are_no_weights(tmp_path: Path) -> None:
    assert [weight.name for weight in recorded.graph(tmp_path).weights] == ["fc.weight", "fc/bias"]


def test_node_refers_to_its_tensors(tmp_path: Path) -> None:
    graph = recorded.graph(tmp_path)
    fc, turn = graph.nodes
    assert [tensor.name for tensor in fc.inputs] == ["pixel_values", "fc.weight", "fc/bias"]
    assert fc.params == (record.Scalar("keep_dims", qnn.BOOL_8, 0),)
    assert isinstance(turn.params[0], record.TensorParam)
    assert graph.raw(turn.params[0].tensor).read_bytes() == recorded.PERM.tobytes()


def test_reads_encodings_per_tensor_and_per_axis(tmp_path: Path) -> None:
    lines = recorded.calls()
    lines[2]["quantization"] = {"encoding": 0, "value": {"scale": 0.5, "offset": -3}}
    lines[3]["quantization"] = {
        "encoding": 1,
        "value": {"axis": 1, "scales": recorded.SCALES, "offsets": recorded.OFFSETS},
    }
    pixels, weight = recorded.graph(tmp_path, lines).tensors[:2]
    assert pixels.quantization == record.Quantization(qnn.SCALE_OFFSET, (0.5,), (-3,))
    assert weight.quantization == record.Quantization(
        qnn.AXIS_SCALE_OFFSET, (0.5, 0.25, 0.125), (0, 0, 0), axis=1
    )


@pytest.mark.parametrize("cut", [1, 3])
def test_a_record_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(Refused, match="0 of 1 graphs"):
        recorded.graph(tmp_path, recorded.calls()[:-cut])


def test_refusals_name_the_node(tmp_path: Path) -> None:
    lines = [{"call": "refused", "name": "erf", "type": "Erf", "error": 3110}]
    assert record.refusals(recorded.write(tmp_path, lines)) == ["Erf erf (error 3110)"]
