"""The shell scripts that run on a board; they stand beside this module."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def script(name: str) -> str:
    """Return the text of a script, e.g. `probe.sh`."""
    return (Path(__file__).parent / name).read_text()
