"""Our chain and Qualcomm's execution provider build the same thing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.chain import building
from tests.chain.building import CASES, Network

PICTURES = {"digits": 8, "vits16": 1}


@pytest.mark.parametrize(("model", "precision"), CASES)
def test_outputs_are_equal_to_the_bit_and_cost_the_same(
    network: Callable[[str], Network], tmp_path: Path, model: str, precision: str
) -> None:
    made = network(model)
    ours = building.context(made, precision, tmp_path)
    theirs = building.reference(made, precision, tmp_path / "provider")
    assert building.cost(ours) == building.cost(theirs)
    count = PICTURES[model]
    pairs = zip(
        building.run(made, ours, count),
        building.run(made, theirs, count),
        strict=True,
    )
    for mine, other in pairs:
        assert np.isfinite(mine).all()
        assert np.array_equal(mine, other)
