"""How far an upload is: share, rate and time left, said now and then for each board."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts.console import size


@dataclass
class Progress:
    """Counts bytes of one upload; `tell` takes a line of text, `now` gives seconds."""

    tell: Callable[[str], None]
    now: Callable[[], float] = time.monotonic
    _total: int = 0
    _there: int = 0
    _sent: int = 0
    _started: float = 0.0
    _told: float = 0.0

    def say(self, text: str) -> None:
        """Say something else than how far it is."""
        self.tell(text)

    def start(self, total: int, there: int) -> None:
        """Begin an upload of `total` bytes of which `there` need not be sent."""
        self._total, self._there, self._sent = total, there, 0
        self._started = self._told = self.now()
        if there:
            self.tell(f"{size(there)} of {size(total)} are there already")

    def advance(self, count: int) -> None:
        """Note that `count` more bytes are sent; says so every now and then."""
        self._sent += count
        if self.now() - self._told >= _seconds_between_lines():
            self._told = self.now()
            self.tell(self._line())

    def finish(self) -> None:
        """Say how much was sent, and how fast."""
        seconds = max(self.now() - self._started, 1e-9)
        self.tell(f"{size(self._sent)} sent in {seconds:.1f} s, {self._rate()}")

    def _line(self) -> str:
        done = self._there + self._sent
        left = (self._total - done) / max(self._bytes_per_second(), 1e-9)
        share = 100 * done / max(self._total, 1)
        return f"{share:.0f} % of {size(self._total)}, {self._rate()}, {left:.0f} s left"

    def _rate(self) -> str:
        return f"{size(int(self._bytes_per_second()))}/s"

    def _bytes_per_second(self) -> float:
        return self._sent / max(self.now() - self._started, 1e-9)


def _seconds_between_lines() -> float:
    return 2.0 if sys.stdout.isatty() else 15.0
