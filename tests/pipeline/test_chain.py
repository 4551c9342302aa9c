"""The QNN chain itself, inside the image: see tests/chain."""

import pytest

from scripts.pipeline import suites
from scripts.pipeline.build import Builder, Done

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize("suite", ["same_bytes", "refusals", "input_list", "aarch64", "equal"])
def test_chain(builder: Builder, suite: str) -> None:
    assert suites.in_image(builder, f"tests/chain/test_{suite}.py")


@pytest.mark.parametrize("target", sorted(modellib.FOLDERS))
def test_libraries_of_a_build_keep_their_contract(
    build: Callable[..., list[Done]], ask: Callable[..., Request], target: str
) -> None:
    build()
    modellib.check(ask().root / artefacts.model_library("digits", "int8", target), target)
