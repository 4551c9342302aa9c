"""A file that pins activations to a width: `{"16": {kind: [tensors] or "all"}, "8": {...}}`.

Read on the host before any work, and again by `quantize`, which knows the network's kinds. What a
build says about its choice, `why`, is in such a file too and does not count.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from scripts.errors import UsageError
from scripts.json_object import Unfit, in_words, texts
from scripts.words import closest, nearest, quoted, shown

# Every tensor of a kind.
ALL = "all"
# What people write for it, or in its place.
_EVERY = (ALL, "", "*", "every")
WIDTHS = ("16", "8")
FORM = '{"16": {"Softmax to MatMul": "all"}, "8": {"Add to Norm": ["layer.3.Add_2"]}}'
_WHY = "why"
# What a kind says of writers and readers that are no operators of ONNX; all norms are one.
_OTHERS = ("input", "output", "Norm")
_LAYER = re.compile(r"layer\.(\d+)\.", re.ASCII)
# Characters of a name that a refusal repeats.
_SHOWN = 80
# Bytes: some ten times the longest list that a build writes.
_LARGEST = 16 << 20

# A name or number in JSON ends before one of these.
_END, _QUOTE = r"[\s:,\]}]", "'"
_EXAMPLE, _TENSORS = '{"Add to Norm": "all"}', '["layer.3.Add_2"]'
# Below a build's folder, or in its own.
_FILES = ("models/*.widths.json", "*.widths.json")
_WRITTEN = "one that a build wrote, models/*.widths.json"

Pins = Mapping[str, Mapping[str, str | Sequence[str]]]


class _Slip(Unfit):
    """What is wrong with a file, and what it should have said."""

    def __init__(self, what: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(what)


def read(file: Path) -> Pins:
    """Return tensors by kind by width; a kind has a list of them, or `ALL`.

    Raises:
        UsageError: the file is not JSON, of another form, or contradicts itself.
    """
    text = _text(file)
    try:
        document = json.loads(text, object_pairs_hook=_object)
        return _checked(document)
    except (ValueError, RecursionError) as error:
        raise _refusal(file, _slip(error)) from None


def require_layers(file: Path, layers: int) -> None:
    """Hold the tensors that a file names against the layers of a network, counted from 0.

    Raises:
        UsageError: one is of a layer that there is not.
    """
    for name in _tensors(read(file)):
        # `int` takes no text of thousands of digits.
        if (layer := _LAYER.match(name)) and Decimal(layer[1]) >= layers:
            last = f"layer.{layers - 1}.{name[layer.end() :]}"
            raise UsageError(
                f"{file} names {_shown(name)}, and the network has layers 0 to {layers - 1}.",
                cause="it is of another network",
                remedy=f"{_shown(last)} is of the last layer; or the file of widths that a build "
                "of this network wrote",
            )


def _text(file: Path) -> str:
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is no file" if file.exists() else "is not there"
        raise UsageError(f"The file of widths {file} {what}.", remedy=_files(file))
    if file.stat().st_size > _LARGEST:
        raise _refusal(file, _Slip(f"it has more than {_LARGEST} bytes", _WRITTEN))
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(
            file, _Slip(in_words(error), f"save it as UTF-8, or give {_WRITTEN}")
        ) from None


def _files(file: Path) -> str:
    """Return which file may have been meant: those of a folder, or the nearest beside it."""
    if written := sorted(path for form in _FILES for path in file.glob(form)):
        return f"give --widths {quoted(written[0])}"
    beside = [shown(other.name) for other in file.parent.glob("*.json")]
    return f"{nearest(file.name, beside)}give --widths {_WRITTEN}"


def _refusal(file: Path, slip: _Slip) -> UsageError:
    return UsageError(
        f"{file} is no file of widths: {slip}.",
        cause="a slip in a file written by hand, or another file",
        remedy=slip.remedy,
    )


def _slip(error: ValueError | RecursionError) -> _Slip:
    """Return what is wrong with a text that is no JSON, and what it should have said there."""
    if isinstance(error, _Slip):
        return error
    remedy = _at_place(error) if isinstance(error, json.JSONDecodeError) else ""
    return _Slip(in_words(error), f"{remedy}{'; ' if remedy else ''}the form is {FORM}")


def _at_place(error: json.JSONDecodeError) -> str:
    """Return what JSON has at the place where a text is none; empty where there is no text."""
    before, rest = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if not error.doc.strip():
        return ""
    if not rest or error.msg.startswith("Unterminated"):
        return "close every quote and bracket: the text ends too early"
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments: leave them out"
    if error.msg.startswith("Extra data"):
        return "leave out what is behind the last bracket"
    if error.msg.startswith("Invalid"):
        return "a text has a backslash twice, and no line break"
    if "delimiter" in error.msg:
        return f"{'a colon' if ':' in error.msg else 'a comma'} belongs before {_shown(rest[:1])}"
    if "comma" in error.msg or (before.endswith(",") and rest[0] in "]}"):
        return "leave out the comma before the bracket"
    if rest[0] in "]},":
        return f"something belongs before {_shown(rest[:1])}"
    return (
        f"names and texts stand in double quotes: {_shown(re.split(_END, rest)[0].strip(_QUOTE))}"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is there twice, as all but the last would be lost, and strange texts."""
    for text in (text for pair in pairs for text in texts(pair)):
        if not text.isprintable():
            remedy = f"{_shown(''.join(filter(str.isprintable, text)))}, or as {_WRITTEN} has it"
            raise _Slip(f"{_shown(text)} holds characters that no name has", remedy)
    if twice := _repeated(name for name, _ in pairs):
        name = _shown(twice[0])
        raise _Slip(f"{name} is there twice", f"put what both of them hold under one {name}")
    return dict(pairs)


def _checked(document: Any) -> Pins:
    if not isinstance(document, dict):
        raise _Slip('it is not an object of "16" and "8"', f"the form is {FORM}")
    if unknown := [name for name in document if name not in (*WIDTHS, _WHY)]:
        raise _no_width(unknown[0], document[unknown[0]])
    pins = {width: document[width] for width in WIDTHS if width in document}
    if not pins:
        raise _Slip('it pins nothing: "16" and "8" are missing', f"the form is {FORM}")
    for width, kinds in pins.items():
        _check_kinds(width, kinds)
    if not any(pins.values()):
        width = next(iter(pins))
        raise _Slip("it pins nothing: no kind is there", f'name one: "{width}": {_EXAMPLE}')
    _require_one_width(pins)
    return pins


def _no_width(name: str, value: Any) -> _Slip:
    """Return what is wrong with a name in place of a width: a kind without one, or another word."""
    what = f'{_shown(name)} is no width: there are "16" and "8"'
    if " to " in name:
        pins = _shortened({name: value})
        return _Slip(what, f'put kinds under a width: {{"16": {pins}}} or {{"8": {pins}}}')
    digits = "".join(filter(str.isdigit, name))
    width = f'"{digits}"' if digits in WIDTHS else '"16" or "8"'
    return _Slip(what, f"{width} in its place; the form is {FORM}")


def _require_one_width(pins: Pins) -> None:
    """Refuse a kind or a tensor of two widths, and a tensor that is there twice."""
    whole = {width: {kind for kind in pins[width] if pins[width][kind] == ALL} for width in pins}
    for width, other in (WIDTHS, WIDTHS[::-1]):
        if both := sorted(whole.get(width, set()).intersection(pins.get(other, ()))):
            kind = _shown(both[0])
            raise _Slip(
                f'{kind} is all of "{width}", and in "{other}" as well',
                f'leave it out of one, or list its tensors in "{width}" too in place of "all"',
            )
    if twice := _repeated(_tensors(pins)):
        name = _shown(twice[0])
        places = ", ".join(
            f"{_shown(kind)} of {_shown(width)}"
            for width, kinds in pins.items()
            for kind, tensors in kinds.items()
            if twice[0] in tensors and tensors != ALL
        )
        raise _Slip(f"the tensor {name} is there twice", f"leave one of them: it is in {places}")


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _tensors(pins: Pins) -> Iterator[str]:
    """Yield every tensor that is named."""
    for kinds in pins.values():
        for tensors in kinds.values():
            yield from () if tensors == ALL else tensors


def _shown(name: str) -> str:
    """Return a stranger's name in a form that a terminal can be given: quoted, escaped, cut."""
    return json.dumps(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def _shortened(kinds: Mapping[str, Any]) -> str:
    """Return the first kind as it may stand in a file: with its tensors if these are few."""
    (kind, value), *_ = kinds.items()
    text = json.dumps(value)
    return f"{{{_shown(kind)}: {text if len(text) <= _SHOWN else _shown(ALL)}}}"


def _check_kinds(width: str, kinds: Any) -> None:
    if not isinstance(kinds, dict):
        named = [name for name in texts(kinds) if " to " in name]
        pins = _shortened({named[0]: ALL}) if named else _EXAMPLE
        raise _Slip(f'"{width}" is not an object of kinds', f'"{width}": {pins}')
    for kind, tensors in kinds.items():
        _check_kind(kind)
        _check_tensors(_shown(kind), tensors)


def _check_tensors(kind: str, tensors: Any) -> None:
    """Refuse what is neither "all" nor a list of tensors' names; `kind` is as it may be shown."""
    is_list = isinstance(tensors, list) and all(isinstance(name, str) for name in tensors)
    if tensors == ALL or (is_list and tensors):
        return
    if is_list:
        remedy = f'{kind}: "all", or leave {kind} out'
        raise _Slip(f"{kind} pins nothing: its list is empty", remedy)
    remedy = f'{kind}: "all", or a list of names: {kind}: {_TENSORS}'
    if isinstance(tensors, str) and tensors.casefold() not in _EVERY:
        remedy = f'{kind}: [{_shown(tensors)}] for that tensor, {kind}: "all" for every one'
    raise _Slip(f'{kind} has neither a list of tensors nor "all"', remedy)


def _check_kind(kind: str) -> None:
    """Refuse what is a kind of no network: `writer to reader and reader` are operators."""
    from onnx import defs  # slow to import: not for every command

    writer, is_kind, readers = kind.partition(" to ")
    names = [writer, *readers.split(" and ")]
    # ASCII first: onnx takes no text that is not UTF-8, such as half of a pair of surrogates.
    known = {name for name in names if name in _OTHERS or (name.isascii() and defs.has(name))}
    strange = [name for name in names if name not in known]
    if strange:
        operators = [*_OTHERS, *sorted({schema.name for schema in defs.get_all_schemas()})]
        near = [closest(name, operators) if name not in known else name for name in names]
        meant = f"{near[0]} to {' and '.join(near[1:])}" if is_kind and all(near) else "Add to Norm"
        raise _Slip(
            f"{_shown(kind)} is no kind: {_shown(strange[0])} is no operator",
            f"what writes it and what reads it, as {_shown(meant)}",
        )
