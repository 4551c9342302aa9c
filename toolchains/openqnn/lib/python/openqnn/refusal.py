"""Refusing an input: one line on stderr and exit code 1, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable


class Refused(Exception):
    """What was wrong with the input, in words for its owner, and what to do about it."""

    def __init__(self, what: str, *, cause: str = "", remedy: str = "") -> None:
        self.what, self.cause, self.remedy = what, cause, remedy
        super().__init__(what)


class DamagedFile(Refused):
    """A file is missing, cut short, or not of the format that it should be."""


class UnfitSamples(Refused):
    """Calibration inputs do not fit the network, or make it overflow."""


def say(program: str, text: str) -> None:
    """Print one informational line, in the form of Qualcomm's own Python tools."""
    print(f"   INFO - {program}: {text}", flush=True)


def run(program: str, work: Callable[[], None]) -> int:
    """Do `work` and return the program's exit code."""
    try:
        work()
    except Refused as refused:
        print(f"  ERROR - {program}: {refused}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"  ERROR - {program}: {error}", file=sys.stderr, flush=True)
        return 1
    return 0
