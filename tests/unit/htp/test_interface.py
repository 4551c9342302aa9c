"""What a context takes and gives, as the SDK's utility says it."""

import json

import pytest

from scripts.errors import ArtefactError
from scripts.htp.interface import Interface, Tensor
from tests import packages


def test_reads_the_graph_and_its_tensors() -> None:
    read = Interface.parse(packages.description(packages.BYTES), "a.bin")
    assert read == Interface(
        "dinov3_digits_int8",
        (Tensor("pixel_values", "QNN_DATATYPE_UFIXED_POINT_8", (1, 32, 32, 3)),),
        (Tensor("last_hidden_state", "QNN_DATATYPE_FLOAT_32", (1, 21, 96)),),
    )


def two_graphs() -> str:
    described = json.loads(packages.description())
    described["info"]["graphs"] *= 2
    return json.dumps(described)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"info": {"graphs": []}}', two_graphs()])
def test_refuses_what_is_not_one_graph(text: str) -> None:
    with pytest.raises(ArtefactError, match=r"a\.bin is not one graph"):
        Interface.parse(text, "a.bin")
