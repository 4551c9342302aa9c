"""Quantisation encodings, and their file in AIMET's format.

Qualcomm's convention: real = scale * (q + offset), the offset being the negative zero point.
Activations are asymmetric and unsigned; weights symmetric and signed, one scale a row.
A 32-bit bias has no encoding of its own: its scale is the input's times the weight's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from openqnn.refusal import Refused

# Qualcomm's least range of an activation.
SMALLEST_RANGE = 1e-4
# Scales are rounded up to this many significant bits, so that the last bits of a float32 sum,
# which differ between processors, do not reach the file.
SCALE_BITS = 8
VERSION = "0.6.1"
WIDTHS = 4, 8, 16, 32
# What JSON of another form comes to where it is read.
_MALFORMED = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Encoding:
    """A tensor's grid: `scales` has one element, or one an output channel along `axis`."""

    bits: int
    scales: tuple[float, ...]
    offset: int
    symmetric: bool
    # What was observed, if that is known: files do not tell.
    observed: tuple[float, float] | None = field(default=None, compare=False)

    @property
    def scale(self) -> float:
        """Return the only scale of a per-tensor encoding."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """Return the stored integer that means zero: 0 for symmetric, which are stored signed."""
        return 0 if self.symmetric else -self.offset

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the integer type that stores it."""
        if self.bits == 4:
            kind = TensorProto.INT4 if self.symmetric else TensorProto.UINT4
            return helper.tensor_dtype_to_np_dtype(kind)
        return np.dtype(f"{'int' if self.symmetric else 'uint'}{self.bits}")

    @property
    def limits(self) -> tuple[int, int]:
        """Return the least and greatest stored integer."""
        least = -(2 ** (self.bits - 1)) if self.symmetric else 0
        return least, least + 2**self.bits - 1

    def range(self) -> tuple[float, float]:
        """Return the least and greatest real number of a per-tensor encoding."""
        return self.scale * self.offset, self.scale * (2**self.bits - 1 + self.offset)

    def at(self, bits: int) -> Encoding:
        """Return an encoding of the same grid's range: what a Convert to another width gives."""
        return self if bits == self.bits else asymmetric(*self.range(), bits)

    def anew(self, bits: int) -> Encoding:
        """Return an encoding of what was observed, as if the tensor had had this width at first.

        The grid of few bits may cut the ends off by half of its own steps, and many of a finer one.
        """
        if bits == self.bits or self.observed is None:
            return self.at(bits)
        return asymmetric(*self.observed, bits)


@dataclass
class Encodings:
    """Encodings of a network's activations and constants, by tensor name."""

    activations: dict[str, Encoding] = field(default_factory=dict)
    params: dict[str, Encoding] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write AIMET's JSON, one tensor a line."""
        parts = [
            f' "{key}": {{\n{_lines(entries)}\n }}'
            for key, entries in (
                ("activation_encodings", self.activations),
                ("param_encodings", self.params),
            )
        ]
        path.write_text(f'{{\n "version": "{VERSION}",\n' + ",\n".join(parts) + "\n}\n")

    @classmethod
    def load(cls, path: Path) -> Encodings:
        """Return the encodings of a file.

        Raises:
            Refused: it is missing, not in AIMET's format, or of another version than 0.6.1.
        """
        try:
            raw = json.loads(path.read_text())
            if (version := raw.get("version", VERSION)) != VERSION:
                raise ValueError(f"version {version}, and {VERSION} is read")
            return cls(
                *(
                    {name: _parse(entries) for name, entries in raw[key].items()}
                    for key in ("activation_encodings", "param_encodings")
                )
            )
        except _MALFORMED as error:
            raise Refused(
                f"{path} is no encodings file in AIMET's format: {error!r}.",
                remedy="quantise again",
            ) from error


def asymmetric(low: float, high: float, bits: int) -> Encoding:
    """Return an unsigned encoding that covers [low, high] and holds zero exactly.

    Raises:
        Refused: the range is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Refused(f"A tensor has the range [{low}, {high}].")
    low, high = min(low, 0.0), max(high, 0.0)
    steps = 2**bits - 1
    scale = round_up(max(high - low, SMALLEST_RANGE) / steps)
    offset = -min(round(-low / scale), steps)
    return Encoding(bits, (scale,), offset, symmetric=False, observed=(low, high))


def symmetric(limits: Sequence[float] | NDArray[np.generic], bits: int) -> Encoding:
    """Return a signed encoding with a scale for each of `limits`, the largest magnitudes."""
    most = 2 ** (bits - 1) - 1
    scales = np.maximum(np.asarray(limits, np.float64), SMALLEST_RANGE / 2) / most
    return Encoding(bits, tuple(float(np.float32(one)) for one in scales), -(2 ** (bits - 1)), True)


def fixed(scale: float, offset: int, bits: int) -> Encoding:
    """Return an unsigned encoding that an operator prescribes."""
    return Encoding(bits, (scale,), offset, symmetric=False)


def round_up(value: float) -> float:
    """Return the next number with at most `SCALE_BITS` significant bits, not below `value`."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(math.ceil(math.ldexp(fraction, SCALE_BITS)), exponent - SCALE_BITS)


def _lines(entries: Mapping[str, Encoding]) -> str:
    return ",\n".join(f"  {json.dumps(name)}: {_entries(one)}" for name, one in entries.items())


def _entries(encoding: Encoding) -> str:
    """Return a JSON list with an object a scale; large networks have half a million of them."""
    bits, offset, most = encoding.bits, encoding.offset, 2**encoding.bits - 1 + encoding.offset
    head = f'{{"bitwidth": {bits}, "dtype": "int", "is_symmetric": "{encoding.symmetric}", '
    ends = (
        f'"max": {scale * most!r}, "min": {scale * offset!r}, "offset": {offset}, '
        f'"scale": {scale!r}}}'
        for scale in encoding.scales
    )
    return f"[{', '.join(head + end for end in ends)}]"


def _parse(entries: list[dict[str, Any]]) -> Encoding:
    first = entries[0]
    scales = tuple(float(entry["scale"]) for entry in entries)
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise ValueError(f"a scale is not a positive number: {scales[:4]}")
    if first["bitwidth"] not in WIDTHS:
        raise ValueError(f"a width is {first['bitwidth']!r} bits, not one of {WIDTHS}")
    return Encoding(
        int(first["bitwidth"]), scales, int(first["offset"]), first["is_symmetric"] == "True"
    )
