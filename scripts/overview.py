"""What runs now, as a table below the lines of a terminal, which keeps itself up to date."""

from __future__ import annotations

import codecs
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import rich.console
from rich.table import Table
from rich.text import Text

from scripts.turns import Piece, Show

# What a program sends to move the cursor or to colour what follows.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_PER_SECOND = 4


class Row(Protocol):
    """A step that runs: its name, when it began (`time.monotonic`), and what it does just now."""

    step: str
    began: float
    status: str


class Lines:
    """The lines of a program that may draw bars, which begin anew with a carriage return."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def take(self, output: bytes) -> tuple[list[str], str]:
        """Return the lines that are whole now, bars left out, and what the last one shows."""
        text = self._rest + self._decoder.decode(output)
        *whole, self._rest = text.replace("\r\n", "\n").split("\n")
        lines = [_shown(line) for line in whole]
        return [line for line in lines if line.strip()], _shown(self._rest).strip()


def _shown(line: str) -> str:
    """Return what a line comes to on a terminal: what was drawn last."""
    drawn = _CONTROL.sub("", line).split("\r")
    return next((part.rstrip() for part in reversed(drawn) if part.strip()), "")


def fits() -> bool:
    """Tell whether standard output is a terminal that can be drawn on."""
    console = rich.console.Console(file=sys.stdout)
    return console.is_terminal and not console.is_dumb_terminal and sys.stdout.isatty()


@contextmanager
def shown(rows: Callable[[], Sequence[Row]], total: Callable[[], str]) -> Iterator[Show]:
    """Show rows and a line on the whole until the block ends; yield what prints above them."""
    from rich.live import Live  # for terminals only

    console = rich.console.Console(file=sys.stdout, highlight=False)

    def above(piece: Piece) -> None:
        text = piece if isinstance(piece, str) else piece.decode(errors="replace")
        for line in text.splitlines():
            console.print(Text.from_ansi(line), soft_wrap=True)

    with Live(
        get_renderable=lambda: _table(rows(), total()),
        console=console,
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield above


def _table(rows: Sequence[Row], total: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(row.step, f"{time.monotonic() - row.began:.0f} s", row.status)
    table.add_row("", "", total)
    return table
