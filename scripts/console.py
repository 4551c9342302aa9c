"""What a user sees: one line when a stage starts, is skipped or ends, and a summary at the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Console:
    """Plain lines anywhere, colour on a terminal that wants it."""

    started_at: float = field(default_factory=time.monotonic)
    colour: bool = field(
        default_factory=lambda: sys.stdout.isatty() and "NO_COLOR" not in os.environ
    )

    def started(self, stage: str) -> None:
        """Say that a stage begins."""
        self._line("1;36", "run ", stage)

    def finished(self, stage: str, seconds: float) -> None:
        """Say that a stage's outputs are in place."""
        self._line("1;32", "done", f"{stage} in {seconds:.1f} s")

    def skipped(self, stage: str) -> None:
        """Say that a stage's outputs were whole already."""
        self._line("2", "same", f"{stage}: nothing changed, skipped")

    def note(self, text: str) -> None:
        """Say something a user should know."""
        self._line("1;33", "note", text)

    def table(self, title: str, rows: Sequence[Sequence[str]]) -> None:
        """Print rows in aligned columns under a title; the last column is left ragged."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print(f"\n{title}")
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            print(f"  {'  '.join(cells).rstrip()}")
        sys.stdout.flush()

    def _line(self, colour: str, mark: str, text: str) -> None:
        elapsed = time.monotonic() - self.started_at
        mark = f"\033[{colour}m{mark}\033[0m" if self.colour else mark
        print(f"[{elapsed:7.1f} s] {mark}  {text}", flush=True)


def size(count: int) -> str:
    """Return a byte count as people read it, e.g. `848.1 MB` (powers of ten)."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
