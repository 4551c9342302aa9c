"""Numbers with their nouns, and names of files as they may be shown, or given to a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, e.g. `1 picture`, `2 pictures`; `plural` is an unusual one."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def shown(text: str, *, lines: bool = False) -> str:
    """Return a text with what cannot be shown escaped: it is no text, or a terminal obeys it.

    `lines` says that it may have several.
    """
    plain = "\n" if lines else ""
    return "".join(c if c.isprintable() or c in plain else ascii(c)[1:-1] for c in text)


def excerpt(text: str, most: int = 80) -> str:
    """Return as much of a stranger's text as a message has room for, as it may be shown."""
    return shown(text if len(text) <= most else f"{text[:most]}...")


def headline(text: str) -> str:
    """Return the first line of a text, and the second where the first only leads up to it."""
    first, *rest = (line.strip() for line in text.splitlines() or [""])
    return f"{first} {rest[0]}" if first.endswith(":") and rest else first


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the begin of a remedy: which of `names` is most like a word; empty where none is.

    Capitals count for nothing: `INT8` is like `int8`.
    """
    name = closest(word, names)
    return f"{name} is the nearest; " if name else ""


def closest(word: str, names: Iterable[str]) -> str:
    """Return which of `names` is most like a word, capitals aside; empty where none is."""
    by_fold = {name.casefold(): name for name in names}
    return next((by_fold[fold] for fold in get_close_matches(word.casefold(), by_fold, n=1)), "")


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
