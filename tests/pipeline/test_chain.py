"""The QNN chain itself, inside the image: see tests/chain."""

from collections.abc import Callable

import pytest

from scripts import artefacts
from scripts.pipeline import suites
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request
from scripts.stages import modellib

pytestmark = pytest.mark.pipeline
SUITES = ["same_bytes", "refusals", "input_list", "memory", "aarch64", "equal"]


@pytest.mark.parametrize("suite", SUITES)
def test_chain(builder: Builder, suite: str) -> None:
    assert suites.in_image(builder, f"tests/chain/test_{suite}.py")


@pytest.mark.parametrize("target", sorted(modellib.FOLDERS))
def test_libraries_of_a_build_keep_their_contract(
    build: Callable[..., list[Done]], ask: Callable[..., Request], target: str
) -> None:
    build()
    modellib.check(ask().root / artefacts.model_library("digits", "int8", target), target)
