"""What this machine gives is what is recorded in the repository."""

from collections.abc import Callable

import pytest

from scripts.pipeline import recorded
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize("precision", recorded.PRECISIONS)
def test_digits_are_as_recorded(
    builder: Builder,
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    precision: str,
) -> None:
    said = recorded.verdict(builder.image, ask(precision=precision), build(precision=precision))
    if said.startswith("not recorded"):
        pytest.skip(said)
    assert said.startswith("as recorded"), said
