"""JSON that strangers may have written: read, or refused in words of ours.

Names in it, and texts, end up in messages: what a terminal would obey, or no file can hold, is
refused. Texts may have several lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.errors import CheckpointError

_LINES = str.maketrans("", "", "\n\r\t")
FETCH_AGAIN = "fetch it again; `sha256sum` shows whether a copy is complete"


class Unfit(ValueError):
    """A document that JSON can say and we do not take; its text is ours."""


def parse(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: it is not JSON, nested more deeply than Python reads, or holds what cannot be
            shown; its text is ours.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Unfit(in_words(error)) from None


def in_words(error: ValueError | RecursionError) -> str:
    """Return why a text is no JSON, in other words than Python's."""
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not text at byte {error.start}"
    return "a number in it has too many digits"


def texts(value: object) -> Iterator[str]:
    """Yield the strings in a value, apart from those in objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = all(name.isprintable() for name, _ in pairs)
    if not names or not all(text.translate(_LINES).isprintable() for text in texts(pairs)):
        raise Unfit("a text in it holds characters that cannot be shown")
    return dict(pairs)


def read(file: Path) -> dict[str, Any]:
    """Return a file's JSON object, nothing where there is no such file.

    Raises:
        CheckpointError: it holds something else.
    """
    if not file.is_file():
        return {}
    try:
        values = parse(file.read_bytes())
    except ValueError as error:
        raise CheckpointError(
            f"{file} cannot be read as JSON: {error}.", remedy=FETCH_AGAIN
        ) from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file} holds no JSON object.", remedy=FETCH_AGAIN)
    return values
