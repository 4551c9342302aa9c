"""The QNN chain itself, inside the image: see tests/chain."""

import pytest

from scripts.pipeline import suites
from scripts.pipeline.build import Builder

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize("suite", ["same_bytes", "refusals", "input_list", "aarch64", "equal"])
def test_chain(builder: Builder, suite: str) -> None:
    assert suites.in_image(builder, f"tests/chain/test_{suite}.py")
