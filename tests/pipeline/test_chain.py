"""The QNN chain itself, inside the image: see tests/chain."""

from collections.abc import Callable

import pytest

from scripts import artefacts
from scripts.htp import modellib, sdk
from scripts.pipeline import suites
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request

pytestmark = pytest.mark.pipeline
SUITES = ["same_bytes", "refusals", "input_list", "memory", "aarch64", "equal"]


@pytest.mark.parametrize("suite", SUITES)
def test_chain(builder: Builder, suite: str) -> None:
    assert suites.in_image(builder, f"tests/chain/test_{suite}.py")


def test_a_flipped_bit_in_a_library_is_named_and_never_compiled(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No loader would notice: a weight is as good as any other."""
    build()
    path = ask().root / artefacts.model_library("digits", "int8", sdk.HOST)
    data = bytearray(path.read_bytes())
    data[-len(data) // 4] ^= 1
    path.write_bytes(data)
    modellib.check(path, sdk.HOST)
    capsys.readouterr()
    ran = [done.stage.verb for done in build() if done.ran]
    assert f"{path.name} is not what it was when it was built" in capsys.readouterr().out
    # The library comes out with its old bytes, so what follows it is still right.
    assert ran == ["compile"]


@pytest.mark.parametrize("target", sorted(modellib.FOLDERS))
def test_libraries_of_a_build_keep_their_contract(
    build: Callable[..., list[Done]], ask: Callable[..., Request], target: str
) -> None:
    build()
    modellib.check(ask().root / artefacts.model_library("digits", "int8", target), target)
