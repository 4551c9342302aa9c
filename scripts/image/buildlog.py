"""The log of an image build: everything in a file, the last lines at hand for an error."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.source import ROOT

PATH = ROOT / "build" / "logs" / "image.log"
_KEPT_LINES = 20
_KEPT_COLUMNS = 160


class BuildLog:
    """Appends to one file, and prints what a waiting user wants to know."""

    def __init__(self, path: Path | None = None) -> None:
        path = path or PATH
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a")
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the time since the build began, and log it."""
        self.write(text)
        self.announce(text)

    def announce(self, text: str) -> None:
        """Print a line with the time since the build began."""
        print(f"[{time.monotonic() - self._started:7.1f} s] image {text}", flush=True)

    def write(self, text: str) -> None:
        """Log lines without printing them."""
        for line in text.splitlines():
            self._file.write(f"{line}\n")
            self._tail.append(line)
        self._file.flush()

    def tail(self) -> str:
        """Return the last lines, indented; what is far too long for a screen is cut."""
        return "\n".join(f"    {line[:_KEPT_COLUMNS]}" for line in self._tail)

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Run a program with its output in the log; return its exit code."""
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                self.write(line)
        return process.returncode
