"""The project's own checks, in the order in which they are quick to fail."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from scripts.console import Console
from scripts.errors import PipelineError, TestsFailedError, UsageError
from scripts.pipeline import container, interruption, session
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Program
from scripts.pipeline.mount import Mount
from scripts.source import ROOT

BIN = Path(sys.executable).parent
MOUNTED = ("scripts", "tests", "toolchains", "docker", "pyproject.toml")
# pytest's exit codes.
_PASSED, _NOTHING_TO_RUN = 0, 5
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
_IN_IMAGE = ("python", "-m", "scripts.pipeline.suites")
IN_IMAGE = (
    Suite("unit tests in the image", (*_IN_IMAGE, "-m", "torch", *ROOMS_IN_IMAGE)),
    Suite("openqnn's own tests", (*_IN_IMAGE, "toolchains/openqnn/tests")),
)
# Tests of what only the image has. Those of rooms run on the host and, marked torch, in the image.
FOLDERS_IN_IMAGE = ("tests/chain", "toolchains/openqnn/tests")
SLOW = (
    Suite("slow tests in the image", (*_IN_IMAGE, "-m", "slow", "tests/chain")),
    Suite("slow pipeline tests", ("pytest", "-q", "-m", "slow", "tests/pipeline")),
)
# The longest first: it has a core to itself, and the others the second one.
ENGINE = (
    Suite("pipeline tests", ("pytest", "-q", "tests/pipeline")),
    IN_IMAGE[1],
    Suite("image tests", ("pytest", "-q", "tests/image")),
    Suite("device tests", ("pytest", "-q", "tests/device")),
)


def fast(console: Console) -> None:
    """Run the linter, the type checker and the unit tests: seconds, no engine.

    Raises:
        TestsFailedError: names the suite that found something.
    """
    for suite in (*STATIC, FAST):
        _run(console, suite)


def everything(console: Console) -> None:
    """Run all there is, two suites at a time: units first, then builds from end to end."""
    for suite in STATIC:
        _run(console, suite)
    _side_by_side(console, (FAST, IN_IMAGE[0]))
    _side_by_side(console, ENGINE)


def slow(console: Console) -> None:
    """Run what `everything` leaves out: minutes of the simulator."""
    for suite in SLOW:
        _run(console, suite)


def only(console: Console, tests: str) -> None:
    """Run one folder, file or test where it belongs: on the host, in the image, or in both.

    Raises:
        UsageError: there is no such file.
        TestsFailedError: a test failed, or none was run.
    """
    path = (ROOT / tests.partition("::")[0]).resolve()
    if not path.exists():
        raise UsageError(f"There is no {path}.", remedy="tests/unit/test_errors.py, for example")
    inside = _is_in(path, FOLDERS_IN_IMAGE)
    codes = [] if inside else [_on_host(console, tests)]
    if inside or (_is_in(path, ROOMS_IN_IMAGE) and _needs_torch(path)):
        console.started(f"{tests} in the image")
        mark = () if inside else ("-m", "torch")
        codes.append(_code_in_image(session.builder(console), *mark, tests))
    if _PASSED not in codes or set(codes) - {_PASSED, _NOTHING_TO_RUN}:
        raise TestsFailedError(f"{tests} failed, or holds no test; see above.")


def in_image(builder: Builder, *tests: str) -> bool:
    """Run pytest inside the image, which alone has torch, the compilers and the SDK.

    Returns:
        Whether all tests passed.
    """
    return _code_in_image(builder, *tests) == _PASSED


def _is_in(path: Path, folders: Sequence[str]) -> bool:
    return any(path.is_relative_to(ROOT / folder) for folder in folders)


def _needs_torch(path: Path) -> bool:
    files = path.rglob("test_*.py") if path.is_dir() else [path]
    return any("mark.torch" in file.read_text() for file in files)


def _on_host(console: Console, tests: str) -> int:
    console.started(tests)
    command = [str(BIN / "pytest"), "-q", "-m", "not torch and not slow", tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _code_in_image(builder: Builder, *tests: str) -> int:
    with tempfile.TemporaryDirectory() as out:
        mounts = [Mount(ROOT / name, f"/src/{name}") for name in MOUNTED]
        program = Program(
            command=["python", "-m", "pytest", *PYTEST_IN_IMAGE, *tests],
            mounts=[*mounts, Mount(Path(out), "/out", writable=True)],
        )
        return container.run(builder.client, builder.image.id, program).exit_code


def _run(console: Console, suite: Suite) -> None:
    console.started(suite.name)
    _require(suite, subprocess.run(_command(suite), cwd=ROOT, check=False).returncode)


def _side_by_side(console: Console, suites: Sequence[Suite]) -> None:
    """Run suites two at a time, and show what each printed when it has ended."""
    failed, processes = [], list[subprocess.Popen[str]]()
    with ThreadPoolExecutor(max_workers=2) as pool:
        running = {pool.submit(_captured, console, suite, processes): suite for suite in suites}
        try:
            for future in as_completed(running):
                console.started(running[future].name)
                code, text = future.result()
                print(text, end="")
                failed += [running[future]] if code else []
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                interruption.passed_on(process)
            raise
    for suite in failed:
        _require(suite, 1)


def _captured(
    console: Console, suite: Suite, processes: list[subprocess.Popen[str]]
) -> tuple[int, str]:
    """Run a suite, its process among `processes`; return its exit code and what it printed."""
    console.note(f"{suite.name} begin; what they print follows when they end")
    with subprocess.Popen(
        _command(suite),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        processes.append(process)
        text, _ = process.communicate()
        return process.returncode, text


def _command(suite: Suite) -> list[str]:
    program, *arguments = suite.command
    return [str(BIN / program), *arguments]


def _require(suite: Suite, code: int) -> None:
    if code:
        raise TestsFailedError(f"{suite.name} failed; see above.")


def main(tests: Sequence[str]) -> int:
    """Run tests in the image; return pytest's exit code, or that of what kept it from running."""
    try:
        return _code_in_image(session.builder(Console()), *tests)
    except PipelineError as error:
        print(error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
