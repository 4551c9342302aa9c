"""One way to end a command from outside, whoever asks for it: a user, `kill`, a CI service."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Seconds in which a program that Ctrl-C has reached, too, ends by itself.
_GRACE = 3


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Let a lost terminal and SIGTERM unwind like Ctrl-C for the time of the block.

    SIGINT is set too: a shell starts background jobs with it ignored. A lost terminal is nothing
    to a program under `nohup`, which has SIGHUP ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def passed_on(process: subprocess.Popen[str]) -> None:
    """Wait for a program after an interrupt, and end it where it has not heard of it."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    process.terminate()
    process.wait()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
