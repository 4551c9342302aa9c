"""Progress of long work: a bar on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 15.0


def say(text: str) -> None:
    """Print a line at once, above the bar where a terminal shows one."""
    if sys.stdout.isatty():
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
    else:
        print(text, flush=True)


def track(items: Collection[Item], what: str) -> Iterator[Item]:
    """Yield `items`, showing how many of them are done."""
    if sys.stdout.isatty():
        yield from tqdm(items, desc=f"  {what}", file=sys.stdout, leave=False)
        return
    started = last_line = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last_line > SECONDS_BETWEEN_LINES:
            say(f"  {what}: {done}/{len(items)}, {now - started:.0f} s")
            last_line = now


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """Say every now and then that work of unknown length goes on, and how long it took."""
    done = threading.Event()
    started = time.monotonic()

    def beat() -> None:
        while not done.wait(SECONDS_BETWEEN_LINES):
            say(f"  {what}: {time.monotonic() - started:.0f} s so far")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    say(f"  {what}: {time.monotonic() - started:.1f} s")
