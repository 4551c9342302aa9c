"""JSON files of a checkpoint, which strangers may have written: read, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.errors import CheckpointError

FETCH_AGAIN = "fetch it again; `sha256sum` shows whether a copy is complete"


def parse(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: it is not JSON, or nested more deeply than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


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
