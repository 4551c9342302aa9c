"""A file that pins activations to a width: `{"16": {kind: [tensors] or "all"}, "8": {...}}`.

Read on the host before any work, and again by `quantize`, which knows the network's kinds. What a
build says about its choice, `why`, is in such a file too and does not count.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.errors import UsageError
from scripts.json_object import Unfit, in_words, texts

# Every tensor of a kind.
ALL = "all"
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

Pins = Mapping[str, Mapping[str, str | Sequence[str]]]


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
        raise _refusal(file, in_words(error)) from None


def require_layers(file: Path, layers: int) -> None:
    """Hold the tensors that a file names against the layers of a network, counted from 0.

    Raises:
        UsageError: one is of a layer that there is not.
    """
    for name in _tensors(read(file)):
        if (layer := _LAYER.match(name)) and int(layer[1]) >= layers:
            raise UsageError(
                f"{file} names {_shown(name)}, and the network has layers 0 to {layers - 1}.",
                cause="it is of another network",
                remedy="the file of widths that a build of this network wrote",
            )


def _text(file: Path) -> str:
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is no file" if file.exists() else "is not there"
        raise UsageError(
            f"The file of widths {file} {what}.",
            remedy="give --widths one that a build wrote, models/*.widths.json",
        )
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
    """Refuse a name that is there twice, as all but the last would be lost, and strange texts."""
    for text in (text for pair in pairs for text in texts(pair)):
        if not text.isprintable():
            raise Unfit(f"{_shown(text)} holds characters that no name has")
    if twice := _repeated(name for name, _ in pairs):
        raise Unfit(f"{_shown(twice[0])} is there twice")
    return dict(pairs)


def _checked(document: Any) -> Pins:
    if not isinstance(document, dict):
        raise Unfit('it is not an object of "16" and "8"')
    if unknown := [name for name in document if name not in (*WIDTHS, _WHY)]:
        raise Unfit(f'{_shown(unknown[0])} is no width: there are "16" and "8"')
    pins = {width: document[width] for width in WIDTHS if width in document}
    if not pins:
        raise Unfit('it pins nothing: "16" and "8" are missing')
    for width, kinds in pins.items():
        _check_kinds(width, kinds)
    if not any(pins.values()):
        raise Unfit("it pins nothing: no kind is there")
    _require_one_width(pins)
    return pins


def _require_one_width(pins: Pins) -> None:
    """Refuse a kind or a tensor of two widths, and a tensor that is there twice."""
    whole = {width: {kind for kind in pins[width] if pins[width][kind] == ALL} for width in pins}
    for one, other in (WIDTHS, WIDTHS[::-1]):
        if both := sorted(whole.get(one, set()).intersection(pins.get(other, ()))):
            raise Unfit(f'{_shown(both[0])} is all of "{one}", and in "{other}" as well')
    if twice := _repeated(_tensors(pins)):
        raise Unfit(f"the tensor {_shown(twice[0])} is there twice")


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


def _check_kinds(width: str, kinds: Any) -> None:
    if not isinstance(kinds, dict):
        raise Unfit(f'"{width}" is not an object of kinds')
    for kind, tensors in kinds.items():
        _check_kind(kind)
        is_list = isinstance(tensors, list) and all(isinstance(name, str) for name in tensors)
        if tensors != ALL and not is_list:
            raise Unfit(f'{_shown(kind)} has neither a list of tensors nor "all"')
        if not tensors:
            raise Unfit(f"{_shown(kind)} pins nothing: its list is empty")


def _check_kind(kind: str) -> None:
    """Refuse what is a kind of no network: `writer to reader and reader` are operators."""
    from onnx import defs  # slow to import: not for every command

    writer, _, readers = kind.partition(" to ")
    for name in (writer, *readers.split(" and ")):
        # ASCII first: onnx takes no text that is not UTF-8, such as half of a pair of surrogates.
        if name not in _OTHERS and not (name.isascii() and defs.has(name)):
            raise Unfit(
                f'{_shown(kind)} is no kind, such as "Add to Norm": {_shown(name)} is no operator'
            )
