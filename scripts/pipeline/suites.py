"""The project's own checks, in the order in which they are quick to fail."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.console import Console
from scripts.errors import TestsFailedError
from scripts.pipeline import container, session
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Mount, Program
from scripts.source import ROOT

BIN = Path(sys.executable).parent
MOUNTED = ("scripts", "tests", "toolchains", "docker", "pyproject.toml")
PYTEST_IN_IMAGE = ("-q", "-p", "no:cacheprovider", "--basetemp", "/out/pytest")


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
# Rooms whose code runs in the image; the tests of others import what the host alone has.
ROOMS_IN_IMAGE = [
    f"tests/unit/{room}"
    for room in ("checkpoint", "htp", "lowering", "openqnn", "pictures", "quantization", "stages")
]
IN_IMAGE = (
    Suite(
        "unit tests in the image",
        ("-m", "torch", *ROOMS_IN_IMAGE),
    ),
    Suite("openqnn's own tests", ("toolchains/openqnn/tests",)),
)
SLOW = Suite("slow tests in the image", ("-m", "slow", "tests/chain"))
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
    builder = session.builder(console)
    for suite in IN_IMAGE:
        console.started(suite.name)
        _require(suite, in_image(builder, *suite.command))
    for suite in ENGINE:
        _run(console, suite)


def slow(console: Console) -> None:
    """Run what `everything` leaves out: minutes of the simulator."""
    console.started(SLOW.name)
    _require(SLOW, in_image(session.builder(console), *SLOW.command))


def in_image(builder: Builder, *tests: str) -> bool:
    """Run pytest inside the image, which alone has torch, the compilers and the SDK.

    Returns:
        Whether all tests passed.
    """
    with tempfile.TemporaryDirectory() as out:
        mounts = [Mount(ROOT / name, f"/src/{name}") for name in MOUNTED]
        program = Program(
            command=["python", "-m", "pytest", *PYTEST_IN_IMAGE, *tests],
            mounts=[*mounts, Mount(Path(out), "/out", writable=True)],
        )
        return container.run(builder.client, builder.image.id, program).exit_code == 0


def _run(console: Console, suite: Suite) -> None:
    console.started(suite.name)
    program, *arguments = suite.command
    command = [str(BIN / program), *arguments]
    _require(suite, not subprocess.run(command, cwd=ROOT, check=False).returncode)


def _require(suite: Suite, passed: bool) -> None:
    if not passed:
        raise TestsFailedError(f"{suite.name} failed; see above.")
