"""Real builds, shared by all tests of a run: one folder, each precision built once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.pipeline import plan, request, session
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request


@pytest.fixture(scope="session")
def builder() -> Builder:
    return session.builder()


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="session")
def ask(build_dir: Path) -> Callable[..., Request]:
    def make(**given: str | float) -> Request:
        defaults = {"model": "digits", "precision": "int8", "target": "iq9075"}
        return request.make(**{**defaults, "build_dir": str(build_dir), **given})

    return make


@pytest.fixture(scope="session")
def build(builder: Builder, ask: Callable[..., Request]) -> Callable[..., list[Done]]:
    def run(**given: str | float) -> list[Done]:
        asked = ask(**given)
        return builder.build(asked, plan.stages(asked))

    return run
