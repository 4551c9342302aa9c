"""Output of what runs side by side: one is shown as it comes, the others whole when they end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Piece = str | bytes
Show = Callable[[Piece], None]


@dataclass(eq=False)
class Block:
    """What one program prints; `waiting` is what waits to be shown."""

    waiting: list[Piece] = field(default_factory=list)


class Turns:
    """Blocks that threads write into: standard output gets one after the other, none in pieces.

    The block that was opened first is shown as it comes. What others print is kept: those that end
    meanwhile are shown when it ends, and then the oldest of those still open has its turn.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._show: Show = show
        self._open: list[Block] = []
        self._ended: list[Block] = []

    def open(self) -> Block:
        """Begin a block."""
        with self._lock:
            self._open.append(block := Block())
            return block

    def is_shown(self, block: Block) -> bool:
        """Tell whether what a block gets is shown at once."""
        with self._lock:
            return self._open[:1] == [block]

    def write(self, block: Block, piece: Piece) -> None:
        """Add to a block."""
        with self._lock:
            if self.is_shown(block):
                self._show(piece)
            else:
                block.waiting.append(piece)

    def close(self, block: Block) -> None:
        """End a block; nothing happens to one that has ended."""
        with self._lock:
            if block not in self._open:
                return
            self._ended.append(block)
            had_its_turn = self.is_shown(block)
            self._open.remove(block)
            if had_its_turn:
                self._pass_on()

    def say(self, piece: Piece) -> None:
        """Show what belongs to no block, between two of them."""
        with self._lock:
            if self._open:
                self._ended.append(Block([piece]))
            else:
                self._show(piece)

    @contextmanager
    def through(self, show: Show) -> Iterator[None]:
        """Show pieces another way until the block ends, and then all that is still kept."""
        self._show, before = show, self._show
        try:
            yield
        finally:
            self.close_all()
            self._show = before

    def close_all(self) -> None:
        """End all blocks, and show what is kept."""
        with self._lock:
            for block in list(self._open):
                self.close(block)

    def _pass_on(self) -> None:
        for block in (*self._ended, *self._open[:1]):
            while block.waiting:
                self._show(block.waiting.pop(0))
        self._ended.clear()


def show(piece: Piece) -> None:
    """Write to standard output at once: another thread may have something to say as well."""
    if isinstance(piece, str):
        sys.stdout.write(piece)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()
