"""A file that pins activations to a width: `{"16": {kind: [tensors] or "all"}, "8": {...}}`.

Read on the host before any work, and again by `quantize`, which knows the network's kinds. What a
build says about its choice, `why`, is in such a file too and does not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.errors import UsageError

# Every tensor of a kind.
ALL = "all"
WIDTHS = ("16", "8")
FORM = '{"16": {"Softmax to MatMul": "all"}, "8": {"Add to Norm": ["layer.3.Add_2"]}}'
_WHY = "why"
# What a kind says of writers and readers that are no operators of ONNX; all norms are one.
_OTHERS = ("input", "output", "Norm")
_LAYER = re.compile(r"layer\.(\d+)\.")
# Bytes: some ten times the longest list that a build writes.
_LARGEST = 16 << 20

Pins = Mapping[str, Mapping[str, str | Sequence[str]]]


def read(file: Path) -> Pins:
    """Return tensors by kind by width; a kind has a list of them, or `ALL`.

    Raises:
        UsageError: the file is not JSON, or of another form.
    """
    text = _text(file)
    try:
        document = json.loads(text, object_pairs_hook=_object)
        return _checked(document)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _refusal(file, f"it is not JSON at {place}") from None
    except RecursionError:
        raise _refusal(file, "it is nested too deeply") from None
    except ValueError as error:
        raise _refusal(file, str(error)) from None


def require_layers(file: Path, layers: int) -> None:
    """Hold the tensors that a file names against the layers of a network, counted from 0.

    Raises:
        UsageError: one is of a layer that there is not.
    """
    lists = (tensors for kinds in read(file).values() for tensors in kinds.values())
    for name in (name for tensors in lists if tensors != ALL for name in tensors):
        if (layer := _LAYER.match(name)) and int(layer[1]) >= layers:
            raise UsageError(
                f"{file} names {name!r}, and the network has layers 0 to {layers - 1}.",
                cause="it is of another network",
                remedy="the file of widths that a build of this network wrote",
            )


def _text(file: Path) -> str:
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is no file" if file.exists() else "is not there"
        raise UsageError(f"The file of widths {file} {what}.", remedy="--widths FILE")
    if file.stat().st_size > _LARGEST:
        raise _refusal(file, f"it has more than {_LARGEST} bytes")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(file, f"it is not text at byte {error.start}") from None


def _refusal(file: Path, reason: str) -> UsageError:
    return UsageError(
        f"{file} is no file of widths: {reason}.",
        cause="a slip in a file written by hand, or another file",
        remedy=f"{FORM}; a build writes one, models/*.widths.json",
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is there twice: all but the last would be lost."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f'"{twice[0]}" is there twice')
    return dict(pairs)


def _checked(document: Any) -> Pins:
    if not isinstance(document, dict):
        raise ValueError('it is not an object of "16" and "8"')
    if unknown := [name for name in document if name not in (*WIDTHS, _WHY)]:
        raise ValueError(f'"{unknown[0]}" is no width: there are "16" and "8"')
    pins = {width: document[width] for width in WIDTHS if width in document}
    if not pins:
        raise ValueError('it pins nothing: "16" and "8" are missing')
    for width, kinds in pins.items():
        _check_kinds(width, kinds)
    return pins


def _check_kinds(width: str, kinds: Any) -> None:
    if not isinstance(kinds, dict):
        raise ValueError(f'"{width}" is not an object of kinds')
    for kind, tensors in kinds.items():
        _check_kind(kind)
        is_list = isinstance(tensors, list) and all(isinstance(name, str) for name in tensors)
        if tensors != ALL and not is_list:
            raise ValueError(f'"{kind}" has neither a list of tensors nor "all"')


def _check_kind(kind: str) -> None:
    """Refuse what is a kind of no network: `writer to reader and reader` are operators."""
    from onnx import defs  # slow to import: not for every command

    writer, _, readers = kind.partition(" to ")
    for name in (writer, *readers.split(" and ")):
        if name not in _OTHERS and not defs.has(name):
            raise ValueError(f'"{kind}" is no kind, such as "Add to Norm": "{name}" is no operator')
