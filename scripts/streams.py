"""Standard streams, which a caller may have closed."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

from scripts.errors import AccessError, DiskFullError


def require() -> None:
    """Open what is closed of standard input, output and error, on nothing; name errors of output.

    Else the next file that is opened takes its number, and what is printed, also by programs that
    are started, ends up in there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = named(sys.stdout)


def named(stream: TextIO) -> TextIO:
    """Return a stream to where one goes, with errors that say that it is standard output.

    The system's own name no file, and would be taken for those of a file of the build.
    """
    unbuffered = getattr(stream, "write_through", False)
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=getattr(stream, "line_buffering", False) or unbuffered,
    )


def drop(stream: TextIO) -> None:
    """Let a stream lead nowhere from now on, what it still holds too."""
    _lead_nowhere(stream.fileno())


def _lead_nowhere(descriptor: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class _Output(io.FileIO):
    """Standard output, which leads nowhere once it has taken nothing."""

    def write(self, data: Any) -> int:
        """Write bytes.

        Raises:
            DiskFullError: the disk of the file that it goes to is full.
            AccessError: it cannot be written for another reason.
            BrokenPipeError: nobody reads it.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            _lead_nowhere(self.fileno())
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise (DiskFullError if is_full else AccessError)(
                f"Standard output cannot be written: {error.strerror}.",
                cause="the disk of the file that it goes to is full" if is_full else "",
                remedy="send it to another file, or nowhere; finished stages are kept",
            ) from error
