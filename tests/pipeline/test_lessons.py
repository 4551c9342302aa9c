"""The lessons of `examples/`, run in a copy of the repository as a reader would run them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.source import ROOT
from tests import lessons

pytestmark = pytest.mark.pipeline
# Lesson 05 needs a board: tests/device runs it.
LESSONS = [path.parent.name for path in sorted((ROOT / "examples").glob("0[!5]*/README.md"))]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lessons.copy_of_repository(tmp_path_factory.mktemp("lessons"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_shows_what_its_commands_print(repository: Path, lesson: str) -> None:
    steps = lessons.steps(ROOT / "examples" / lesson / "README.md")
    assert steps
    for step in steps:
        printed = lessons.run(step.command, repository)
        assert lessons.matches(step.output, printed), f"$ {step.command}\n{printed}"
