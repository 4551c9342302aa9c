"""Running the SDK's commands: live output, and failures as named errors."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from openqnn import progress
from scripts.errors import DiskFullError, OutOfMemoryError, PipelineError
from scripts.htp.sdk import Sdk

LAST_LINES = 12
# The simulator prints this at every start.
NOISE = "LIBNATIVE: No alternate configuration"


_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Have commands that this thread runs meanwhile say nothing, unless they fail."""
    before = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(before)


def say(text: str) -> None:
    """Print a line on what a command does, where commands are not run quietly."""
    if not _QUIET.get():
        progress.say(text)


def heartbeat(what: str) -> AbstractContextManager[None]:
    """Say every now and then that a command goes on, where commands are not run quietly."""
    return nullcontext() if _QUIET.get() else progress.heartbeat(what)


def run(
    sdk: Sdk,
    name: str,
    *arguments: str | Path,
    cwd: Path,
    error: type[PipelineError],
    cause: str,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run one command of the SDK in `cwd`, which must be writable and on a disk.

    Paths among the arguments are made absolute first; `variables` join the SDK's environment.

    Raises:
        DiskFullError, OutOfMemoryError: the signal that ended it, or its output, says so.
        error: it failed in any other way; the message has its last lines and `cause`.
    """
    command = [str(sdk.tool(name)), *(_absolute(argument) for argument in arguments)]
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**sdk.environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            if NOISE not in line:
                say(f"  {line.rstrip()}")
                last.append(line.rstrip())
    if process.returncode:
        raise _failure(name, process.returncode, "\n".join(last), error, cause)


def _absolute(argument: str | Path) -> str:
    return str(argument.absolute()) if isinstance(argument, Path) else argument


def _failure(
    name: str, code: int, words: str, error: type[PipelineError], cause: str
) -> PipelineError:
    if code == -signal.SIGKILL:
        return OutOfMemoryError(f"{name} was killed for its memory.", remedy="see `invoke doctor`")
    if "No space left on device" in words:
        return DiskFullError(
            f"No space left on the device while {name} ran.",
            cause="a model library is built beside its weights: twice their size",
            remedy="free some space, or pass --build-dir on a larger disk",
        )
    return error(f"{name} ended with {code}:\n{words}", cause=cause)
