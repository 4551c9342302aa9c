"""Lesson 05, against a board of the tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.source import ROOT
from tests import lessons
from tests.device import boards
from tests.device.conftest import Archive, Bench

LESSON = ROOT / "examples" / "05-deploy-and-roll-back" / "README.md"
FIRST = "build/digits/packages/dinov3_digits_int8_iq9075.tar.gz"


@pytest.fixture
def repository(
    tmp_path: Path, bench: Bench, board: boards.Board, archive: Callable[..., Archive]
) -> Path:
    """A copy with two archives, and a board whose host key is not known yet."""
    folder = lessons.copy_of_repository(tmp_path / "copy")
    (folder / FIRST).parent.mkdir(parents=True)
    shutil.copy(archive("a").path, folder / FIRST)
    shutil.copy(archive("b").path, folder / "second.tar.gz")
    bench.file = folder / "devices.toml"
    bench.write(bench=bench.device(board, host_key=None))
    return folder


def test_the_lesson_shows_what_its_commands_print(repository: Path) -> None:
    steps = lessons.steps(LESSON)
    assert steps
    for step in steps:
        printed = lessons.run(step.command, repository)
        print(f"$ {step.command}\n{printed}")
        assert lessons.matches(step.output, printed), f"$ {step.command}\n{printed}"
