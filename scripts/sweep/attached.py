"""A command of `invoke` that ends with the program that started it, however that one ends.

Who starts it holds the other end of its standard input, and writes nothing there. The kernel closes
that end when its holder is gone, killed without a word too, and the command ends as with Ctrl-C:
its containers are removed, finished stages are kept.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from invoke.main import program


def main() -> None:
    """Run the command that the arguments are."""
    threading.Thread(target=_end_with_starter, daemon=True).start()
    program.run(["invoke", *sys.argv[1:]])


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def lifeline() -> Iterator[int]:
    """Yield the standard input of commands that end when the block does, if they have not yet."""
    commands, ours = os.pipe()
    try:
        yield commands
    finally:
        os.close(ours)
        os.close(commands)


if __name__ == "__main__":
    main()
