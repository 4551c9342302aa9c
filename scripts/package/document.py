"""JSON that strangers may have written: one meaning, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.errors import ArtefactError
from scripts.package import rule

Shape = Mapping[str, Any]


def load(data: bytes, name: str, shape: Shape) -> dict[str, Any]:
    """Return a JSON object that has the members in `shape`, each of its type, and maybe more.

    A shape is a mapping of names to types, to other shapes, or to a list of one of them. Strings
    are printable: they are shown on terminals.

    Raises:
        ArtefactError: it is too large, not JSON, ambiguous, or of another shape.
    """
    rule.check_document(name, len(data))
    try:
        value = json.loads(data, object_pairs_hook=_object, parse_constant=_refuse)
        _check(value, shape, "it")
        return dict(value)
    except (ValueError, RecursionError) as error:
        reason = rule.shown(str(error)) if isinstance(error, ValueError) else "nested too deeply"
        raise ArtefactError(f"{name} is not a {_kind(name)} of ours: {reason}") from error


def _kind(name: str) -> str:
    return name.partition(".")[0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is there twice")
    if not all(text.isprintable() for pair in pairs for text in _texts(pair)):
        raise ValueError("a text holds control characters")
    return made


def _texts(value: object) -> Iterator[str]:
    """Yield the strings in a value, apart from those in objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _check(value: object, shape: Any, name: str) -> None:
    if isinstance(shape, Mapping):
        _check(value, dict, name)
        assert isinstance(value, dict)
        for key, inner in shape.items():
            _check(value.get(key), inner, key)
    elif isinstance(shape, list):
        _check(value, list, name)
        assert isinstance(value, list)
        for item in value:
            _check(item, shape[0], name)
    elif not isinstance(value, shape) or isinstance(value, bool) is not (shape is bool):
        raise ValueError(f"{name} is not a {shape.__name__}")
