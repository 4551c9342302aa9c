"""Our chain and Qualcomm's execution provider build the same thing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from openqnn.network import onnx_network
from openqnn.quantization import observe, qdq
from scripts import metrics
from tests.chain import building
from tests.chain.building import CASES, Network

PICTURES = {"digits": 8, "vits16": 1}


@pytest.mark.parametrize(("model", "precision"), CASES)
def test_outputs_are_equal_to_the_bit_and_cost_the_same(
    network: Callable[[str], Network], tmp_path: Path, model: str, precision: str
) -> None:
    exported = network(model)
    ours = building.context(exported, precision, tmp_path)
    theirs = building.reference(exported, precision, tmp_path / "provider")
    assert building.cost(ours) == building.cost(theirs)
    count = PICTURES[model]
    pairs = zip(
        building.run(exported, ours, count),
        building.run(exported, theirs, count),
        strict=True,
    )
    for mine, other in pairs:
        assert np.isfinite(mine).all()
        assert np.array_equal(mine, other)


@pytest.mark.parametrize(
    ("precision", "closeness"), [("int8", 0.999), ("w8a16", 0.99999), ("w4a16", 0.99999)]
)
def test_the_simulator_computes_what_the_integers_do_on_the_cpu(
    network: Callable[[str], Network], tmp_path: Path, precision: str, closeness: float
) -> None:
    exported = network("digits")
    model, encodings = exported.source(precision)
    assert encodings is not None
    integers = tmp_path / "integers.onnx"
    qdq.insert(model, encodings, integers)
    outputs_here = np.concatenate(
        building.run(exported, building.context(exported, precision, tmp_path), 8)
    )
    on_the_cpu = onnx_network.Network.load(integers)
    (values,) = observe.outputs(on_the_cpu, exported.pictures()[:8], "integers").values()
    expected = np.concatenate(values)
    cosines = metrics.cosine(expected, outputs_here)
    assert cosines.mean() > closeness
    # In 8 bits, a sum that one of them rounds up and the other down moves a token.
    assert cosines.min() > 1 - 10 * (1 - closeness)
