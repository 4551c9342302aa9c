"""JSON that strangers may have written: one meaning, or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.json_object import Unfit, in_words, texts
from scripts.package import rule

Shape = Mapping[str, Any]
_TYPES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    dict: "an object",
    list: "a list",
}
# Beyond this a number of ours is damaged, and arithmetic on it may overflow.
_LARGEST = 1e30


@dataclass(frozen=True)
class Each:
    """The shape of an object whose members have any names, and one shape."""

    shape: Any


def load(data: bytes, name: str, shape: Shape, *, shown: bool = True) -> dict[str, Any]:
    """Return a JSON object that has the members in `shape`, each of its type, and maybe more.

    A shape is a mapping of names to types, to other shapes, or to a list of one of them; `Each`; or
    a tuple, a list of so many. A `float` may be whole, too. Strings are printable, unless the
    document is not `shown`: it may then name pictures, as they are.

    Raises:
        ArtefactError: it is too large, not JSON, ambiguous, or of another shape.
    """
    rule.check_document(name, len(data))
    hook = _printable if shown else _object
    try:
        value = json.loads(data, object_pairs_hook=hook, parse_constant=_refuse)
        _check(value, shape, "it")
        return dict(value)
    except (ValueError, RecursionError) as error:
        reason = in_words(error)
        raise rule.refusal(f"{name} is not a {_kind(name)} of ours: {reason}.") from error


def _kind(name: str) -> str:
    return name.partition(".")[0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Unfit("a name is there twice")
    return values


def _printable(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if not all(text.isprintable() for pair in pairs for text in texts(pair)):
        raise Unfit("a text holds characters that cannot be shown")
    return _object(pairs)


def _refuse(constant: str) -> None:
    raise Unfit(f"{constant} is not JSON")


def _check(value: object, shape: Any, name: str) -> None:
    if isinstance(shape, Mapping):
        _check(value, dict, name)
        assert isinstance(value, dict)
        for key, inner in shape.items():
            _check(value.get(key), inner, key)
    elif isinstance(shape, Each):
        _check(value, dict, name)
        assert isinstance(value, dict)
        for key, inner in value.items():
            _check(inner, shape.shape, key)
    elif isinstance(shape, tuple):
        _check(value, list, name)
        assert isinstance(value, list)
        if len(value) != len(shape):
            raise Unfit(f"{name} has {len(value)} members, not {len(shape)}")
        for item, inner in zip(value, shape, strict=True):
            _check(item, inner, name)
    elif isinstance(shape, list):
        _check(value, list, name)
        assert isinstance(value, list)
        for item in value:
            _check(item, shape[0], name)
    elif not _is_of(value, shape):
        raise Unfit(f"{name} is not {_TYPES.get(shape, shape.__name__)}")
    elif isinstance(value, int | float) and abs(value) > _LARGEST:
        raise Unfit(f"{name} is too large a number")


def _is_of(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)
