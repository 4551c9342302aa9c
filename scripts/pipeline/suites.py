"""The project's own checks, in the order in which they are quick to fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.errors import TestsFailedError
from scripts.pipeline import container, session
from scripts.pipeline.console import Console
from scripts.pipeline.container import Mount, Program
from scripts.pipeline.source import ROOT

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Suite:
    """One command of the host's environment."""

    name: str
    command: Sequence[str]


STATIC = (
    Suite("ruff", ("ruff", "check", ".")),
    Suite("ruff format", ("ruff", "format", "--check", ".")),
    Suite("mypy", ("mypy",)),
)
FAST = Suite("unit tests", ("pytest", "-q", "-m", "not torch", "tests/unit"))
ENGINE = (
    Suite("image tests", ("pytest", "-q", "tests/image")),
    Suite("device tests", ("pytest", "-q", "tests/device")),
    Suite("pipeline tests", ("pytest", "-q", "tests/pipeline")),
)


def fast(console: Console) -> None:
    """Run the linter, the type checker and the unit tests: seconds, no engine.

    Raises:
        TestsFailedError: names the suite that found something.
    """
    for suite in (*STATIC, FAST):
        _run(console, suite)


def everything(console: Console) -> None:
    """Run all there is: fast suites, those inside the image, and builds from end to end."""
    fast(console)
    _run_in_image(console)
    for suite in ENGINE:
        _run(console, suite)


def _run(console: Console, suite: Suite) -> None:
    console.started(suite.name)
    program, *arguments = suite.command
    done = subprocess.run([str(BIN / program), *arguments], cwd=ROOT, check=False)
    if done.returncode:
        raise TestsFailedError(f"{suite.name} failed; see above.")


def _run_in_image(console: Console) -> None:
    """Run the unit tests that need torch and transformers, which only the image has."""
    console.started("unit tests in the image")
    made = session.builder()
    program = Program(
        command=[
            "python",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "torch",
            "tests/unit",
        ],
        mounts=[Mount(ROOT / name, f"/src/{name}") for name in MOUNTED],
    )
    if container.run(made.client, made.image.id, program).exit_code:
        raise TestsFailedError("unit tests in the image failed; see above.")


IN_IMAGE = ("-q", "-p", "no:cacheprovider", "-m", "torch", "tests/unit")
MOUNTED = ("scripts", "tests", "toolchains", "docker", "pyproject.toml")
