"""Encodings as AIMET exports them (versions 0.6.1, 1.0.0, 2.0.0 and 2.1.0), read and written.

Qualcomm's convention: real = scale * (q + offset) with q counted from 0. A signed integer of `b`
bits with zero point `z`, as versions 2 have it, is the same grid with offset = -z - 2^(b-1).
Read on the host before any work, and again by `quantize`, which knows the network's tensors.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scripts import json_object
from scripts.errors import UsageError

# The newest version that aimet-onnx 2.42 reads; it differs from 2.0.0 in blocks alone.
NEWEST = "2.1.0"
_INTEGER = re.compile(r"(u?)int(\d{1,2})", re.ASCII)
# Bytes: some four times the encodings of the largest network, with half a million scales.
_LARGEST = 512 << 20
# Bits of what is added to integer sums.
_SUMS = 32
# Scales and ranges of which the product of two is a normal float32 number: a bias has the scale of
# its input times that of its weight. Scales are from 2^-63, their grids end below 2^64.
_LEAST, _BEYOND = 2.0**-63, 2.0**64
# Characters of a name that a refusal repeats.
_SHOWN = 80


@dataclass(frozen=True)
class Grid:
    """A tensor's integers: `bits`, and a scale and an offset, or one of each a channel.

    `axis` is that of the channels, None where the file does not say.
    """

    bits: int
    scales: tuple[float, ...]
    offsets: tuple[int, ...]
    axis: int | None = None

    @property
    def is_symmetric(self) -> bool:
        """Whether zero is in the middle, so that signed integers have the zero point 0."""
        return set(self.offsets) == {-(2 ** (self.bits - 1))}


def read(file: Path) -> dict[str, Grid]:
    """Return the grid of every tensor that a file has one for.

    Raises:
        UsageError: it is not AIMET's, of another version, or has what no grid of ours can hold:
            float16, blocks, or scales that are no numbers, or too small or large for float32.
    """
    try:
        return dict(_grids(json_object.parse(_bytes(file))))
    except ValueError as error:
        raise _refusal(file, str(error)) from None


def write(file: Path, grids: Mapping[str, Grid]) -> None:
    """Write grids in the newest version, one tensor a line.

    Activations are unsigned, as QNN has them; what has channels or 32 bits is signed, around zero.
    """
    lines = ",\n".join(f"  {json.dumps(_entry(name, grid))}" for name, grid in grids.items())
    file.write_text(f'{{\n "version": "{NEWEST}",\n "encodings": [\n{lines}\n ]\n}}\n')


def _entry(name: str, grid: Grid) -> dict[str, object]:
    if grid.axis is not None:
        kind, rest = "int", {"y_scale": list(grid.scales), "axis": grid.axis}
    elif grid.bits == _SUMS:
        kind, rest = "int", {"y_scale": grid.scales[0]}
    else:
        kind, rest = "uint", {"y_scale": grid.scales[0], "y_zero_point": -grid.offsets[0]}
    return {"name": name, "output_dtype": f"{kind}{grid.bits}", **rest}


def _bytes(file: Path) -> bytes:
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is no file" if file.exists() else "is not there"
        raise UsageError(f"The encodings {file} {what}.", remedy="--encodings FILE")
    if file.stat().st_size > _LARGEST:
        raise _refusal(file, f"it has more than {_LARGEST} bytes")
    return file.read_bytes()


def _refusal(file: Path, reason: str) -> UsageError:
    return UsageError(
        f"The encodings {file} cannot be used: {reason}.",
        cause="another file, or a simulation with number formats that the HTP v73 has not",
        remedy="AIMET's `sim.export(...)` of integers: weights of 8 bits, activations of 8 or 16",
    )


def _grids(document: Any) -> Iterator[tuple[str, Grid]]:
    """Yield the tensors of a document with their grids, each once."""
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    version = document.get("version")
    parse = _VERSIONS.get(version) if isinstance(version, str) else None
    if parse is None:
        known = ", ".join(_VERSIONS)
        what = "it has no version" if version is None else f"its version is {_shown(version)}"
        raise ValueError(f"{what}, and those that are read are {known}")
    names = set()
    for name, entry in parse(document):
        if name in names:
            raise ValueError(f"the tensor {_shown(name)} is there twice")
        names.add(name)
        try:
            yield name, entry()
        except ValueError as error:
            raise ValueError(f"{_shown(name)} {error}") from None


Parsed = Iterator[tuple[str, Callable[[], Grid]]]


def _of_0(document: Mapping[str, Any]) -> Parsed:
    """Sections are objects, a tensor a list with an object a channel."""
    for section in ("activation_encodings", "param_encodings"):
        entries = document.get(section)
        if not isinstance(entries, dict):
            raise ValueError(f"{section} is not an object, as version 0.6.1 has it")
        for name, channels in entries.items():
            yield name, partial(_grid_of_0, channels)


def _grid_of_0(channels: Any) -> Grid:
    is_list = isinstance(channels, list) and channels
    if not is_list or not all(isinstance(channel, dict) for channel in channels):
        raise ValueError("is not a list of objects, one a channel, as version 0.6.1 has it")
    first = channels[0]
    _require_integer(first)
    scales, offsets = (
        [_value(channel, key) for channel in channels] for key in ("scale", "offset")
    )
    return _grid(_value(first, "bitwidth"), scales, offsets)


def _of_1(document: Mapping[str, Any]) -> Parsed:
    """Sections are lists, a tensor an object with a list of scales."""
    for section in ("activation_encodings", "param_encodings"):
        for name, entry in _named(document.get(section), section):
            yield name, partial(_grid_of_1, entry)


def _grid_of_1(entry: Mapping[str, Any]) -> Grid:
    _require_integer(entry)
    if (kind := _text(entry, "enc_type")) not in ("PER_TENSOR", "PER_CHANNEL"):
        raise ValueError(f"is quantised in blocks ({_shown(kind)}), not by channel")
    scales, offsets = (_list(_value(entry, key)) for key in ("scale", "offset"))
    return _grid(_value(entry, "bw"), scales, offsets)


def _of_2(document: Mapping[str, Any]) -> Parsed:
    """One list, a tensor an object in the words of ONNX's QuantizeLinear."""
    for name, entry in _named(document.get("encodings"), "encodings"):
        yield name, partial(_grid_of_2, entry)


def _grid_of_2(entry: Mapping[str, Any]) -> Grid:
    if {"block_size", "per_block_int_scale"} & entry.keys():
        raise ValueError("is quantised in blocks, not by channel")
    kind = _text(entry, "output_dtype")
    if not (integer := _INTEGER.fullmatch(kind)):
        raise ValueError(f"is {_shown(kind)}, not an integer")
    bits = _bits(int(integer[2]))
    scales = _list(_value(entry, "y_scale"))
    zero = entry.get("y_zero_point")
    zeros = [_whole(value, "zero point") for value in _list(0 if zero is None else zero)]
    zeros = zeros * len(scales) if len(zeros) == 1 else zeros
    middle = 0 if integer[1] else 2 ** (bits - 1)
    axis = entry.get("axis")
    return _grid(
        bits,
        scales,
        [-zero - middle for zero in zeros],
        None if axis is None else _whole(axis, "axis"),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(entries: Any, section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(entries, list):
        raise ValueError(f"{section} is not a list, as its version has it")
    for entry in entries:
        if not (isinstance(entry, dict) and isinstance(entry.get("name"), str)):
            raise ValueError(f"an entry of {section} has no name")
        yield entry["name"], entry


def _require_integer(entry: Mapping[str, Any]) -> None:
    if (kind := _text(entry, "dtype")).lower() != "int":
        raise ValueError(f"is {_shown(kind)}, not an integer")


def _value(entry: Mapping[str, Any], key: str) -> Any:
    if key not in entry:
        raise ValueError(f"has no `{key}`")
    return entry[key]


def _text(entry: Mapping[str, Any], key: str) -> str:
    if not isinstance(text := _value(entry, key), str):
        raise ValueError(f"has as `{key}` {_shown(text)}, which is no text")
    return text


def _number(value: Any, what: str) -> float:
    """Return a number of JSON, which `true` is none of."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"has as {what} {_shown(value)}, which is no number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _whole(value: Any, what: str) -> int:
    if not (number := _number(value, what)).is_integer():
        raise ValueError(f"has as {what} {_shown(value)}, which is no whole number")
    return int(number)


def _bits(value: Any) -> int:
    if not 0 < (bits := _whole(value, "width")) <= _SUMS:
        raise ValueError(f"has {_shown(value)} bits, and a tensor has 1 to {_SUMS}")
    return bits


def _grid(
    width: Any, scales: Sequence[Any], offsets: Sequence[Any], axis: int | None = None
) -> Grid:
    if len(scales) != len(offsets) or not scales:
        raise ValueError(f"has {len(scales)} scales and {len(offsets)} offsets")
    bits = _bits(width)
    return Grid(
        bits,
        tuple(_scale(scale, bits) for scale in scales),
        tuple(_whole(offset, "offset") for offset in offsets),
        axis,
    )


def _scale(value: Any, bits: int) -> float:
    """Return a scale with which sums, and the ends of its grid, are normal float32 numbers."""
    scale, power = _number(value, "scale"), 2 if bits == _SUMS else 1
    least, most = _LEAST**power, _BEYOND**power / 2**bits
    if not least <= scale < most:
        raise ValueError(
            f"has the scale {_shown(value)}: with {bits} bits, scales are "
            f"from {least:.2g} to {most:.2g}"
        )
    return scale


def _shown(value: object) -> str:
    """Return a stranger's value in a form that a terminal can be given: as in JSON, escaped, cut.

    A list or an object may be nested deeply, and is only named.
    """
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, str) and len(value) > _SHOWN:
        return json.dumps(f"{value[:_SHOWN]}...")
    text = json.dumps(value)
    return text if isinstance(value, str) or len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_VERSIONS: Mapping[str, Callable[[Mapping[str, Any]], Parsed]] = {
    "0.6.1": _of_0,
    "1.0.0": _of_1,
    "2.0.0": _of_2,
    NEWEST: _of_2,
}
