"""Standard streams, which a caller may have closed."""

from __future__ import annotations

import os
import sys


def require() -> None:
    """Open what is closed of standard input, output and error, on nothing.

    Else the next file that is opened takes its number, and what is printed, also by programs that
    are started, ends up in there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))
