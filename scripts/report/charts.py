"""Charts as SVG text: colours and fonts are the page's, the same numbers give the same bytes.

All are 360 units wide, so that their letters are as large as the page's on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup

from scripts.report.record import Layer, Values

WIDTH = 360
_LEFT, _RIGHT = 12, 12
# Cosines are drawn by the power of ten of their distance from 1, from 1 to this one.
_DECADES = 6
_BINS_A_DECADE = 6
_KEY = "filled: simulated; hollow: told from those"
_KEY_OF_FEW = "hollow: not simulated; squares: 4-bit weights"
# Of weights, where nothing else is said.
_WEIGHT_BITS = 8


def cosines(values: Values, bounds: Mapping[str, float], noun: str) -> Markup:
    """Return a histogram of cosines with the lower bounds of the gate.

    Args:
        values: the cosines.
        bounds: a bound by what it bounds, such as "mean".
        noun: what there is one cosine of, in the plural.
    """
    height, base = 170, 128
    at = _decades(values)
    counts, _ = np.histogram(at, bins=_DECADES * _BINS_A_DECADE, range=(0, _DECADES))
    step = _span() / len(counts)
    bars = [
        _bar(_LEFT + step * place + 0.5, base, step - 1, 84 * count / counts.max())
        for place, count in enumerate(counts.tolist())
        if count
    ]
    peak = int(counts.argmax())
    top = base - 84 - 5
    parts = [*bars, _text(_LEFT + step * (peak + 0.5), top, f"{counts[peak]}", "middle")]
    for row, (name, bound) in enumerate(bounds.items()):
        parts += _gate(bound, f"gate: {name} {bound:g}", 12 + 14 * row, base)
    parts.append(_mark(_x(values.min()), base, "lowest", "end"))
    parts.append(_mark(_x(values.mean()), base, "mean", "start"))
    return _svg(height, f"Cosines of {noun}", [*parts, *_cosine_axis(base)])


def residual(layers: Sequence[Layer]) -> Markup:
    """Return the signal to noise ratio of the residual stream from the first layer to the last."""
    height, base, left = 180, 150, 34
    top = max(10.0, math.ceil(max(layer.snr_db for layer in layers) / 10) * 10)

    def point(place: int, value: float) -> tuple[float, float]:
        span = WIDTH - left - _RIGHT
        return left + span * place / max(len(layers) - 1, 1), base - 130 * max(value, 0) / top

    parts = []
    for value in np.linspace(0, top, 5).tolist():
        y = point(0, value)[1]
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(_text(left - 4, y + 4, f"{value:g}", "end"))
    points = [point(place, layer.snr_db) for place, layer in enumerate(layers)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline class="line" points="{line}"/>')
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
    drop = _steepest(layers)
    x, y = points[drop]
    anchor = "end" if x > WIDTH / 2 else "start"
    parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
    fall = layers[drop - 1].snr_db - layers[drop].snr_db
    parts.append(_text(x, max(y - 12, 12), f"steepest: {-fall:+.1f} dB", anchor))
    parts += [
        _text(left, base + 16, "first layer"),
        _text(WIDTH - _RIGHT, base + 16, "output", "end"),
    ]
    return _svg(height, "Signal to noise by layer, dB", parts)


def steepest(layers: Sequence[Layer]) -> str:
    """Return the name of the tensor at which the signal to noise ratio falls the most."""
    return layers[_steepest(layers)].tensor


def duration(profile: Mapping[str, Any]) -> Markup:
    """Return the simulated time with its lower and upper estimate."""
    estimate = profile["compiler"]
    low, high = (estimate[f"microseconds_{end}"] / 1000 for end in ("low", "high"))
    value, most = profile["milliseconds"], high * 1.05
    x, a, b = (_LEFT + _span() * time / most for time in (value, low, high))
    parts = [
        f'<rect class="bar" x="{_LEFT}" y="28" width="{x - _LEFT:.1f}" height="18"/>',
        f'<path class="whisker" d="M{a:.1f} 37H{b:.1f}M{a:.1f} 31V43M{b:.1f} 31V43"/>',
        _text(x, 18, f"{value:g} ms", "end", "strong"),
        *_linear_axis(most, 54, "ms"),
    ]
    return _svg(92, "Simulated milliseconds an inference", parts)


def shares(parts_of: Mapping[str, float], title: str, shown: Callable[[float], str]) -> Markup:
    """Return amounts as bars under each other, each with its name and what `shown` says of it."""
    most = max([*parts_of.values(), 1])
    parts = []
    for row, (name, amount) in enumerate(parts_of.items()):
        y = 4 + 34 * row
        parts.append(_text(_LEFT, y + 10, name))
        parts.append(_text(WIDTH - _RIGHT, y + 10, shown(amount), "end"))
        width = _span() * amount / most
        parts.append(f'<rect class="bar" x="{_LEFT}" y="{y + 15}" width="{width:.1f}" height="9"/>')
    return _svg(8 + 34 * len(parts_of), title, parts)


def frontier(points: Sequence[Mapping[str, Any]], milliseconds: float) -> Markup:
    """Return exactness against time; the point of this build, by its milliseconds, is marked."""
    plane = _Plane.of(points)
    spots = [plane.spot(point) for point in points]
    parts = [*plane.grid(), _steps(spots)]
    few = [point.get("weights", _WEIGHT_BITS) < _WEIGHT_BITS for point in points]
    for spot, point, is_few in zip(spots, points, few, strict=True):
        kind = "dot" if point["simulated"] else "hollow"
        parts.append(_square(spot, kind) if is_few else _dot(spot, kind))
    nearest = min(
        range(len(points)),
        key=lambda i: (not points[i]["simulated"], abs(points[i]["milliseconds"] - milliseconds)),
    )
    x, y = spots[nearest]
    anchor = "end" if x > WIDTH / 2 else "start"
    parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7"/>')
    parts.append(_text(x, y + 20, "this build", anchor, "strong"))
    parts.append(plane.below(_KEY_OF_FEW if any(few) else _KEY))
    return _svg(plane.height, "Worst cosine against milliseconds", parts)


def builds(points: Sequence[Mapping[str, Any]], frontier: Sequence[Mapping[str, Any]]) -> Markup:
    """Return exactness against time of builds; those of the frontier are joined and numbered.

    Args:
        points: `milliseconds` and `cosine` of every build, one at least.
        frontier: those of them that no other is as fast and as exact as, fastest first.
    """
    plane = _Plane.of(points)
    parts = [*plane.grid(), _steps([plane.spot(point) for point in frontier])]
    parts += [_dot(plane.spot(point), "hollow") for point in points if point not in frontier]
    for number, point in enumerate(frontier, 1):
        x, y = plane.spot(point)
        aside = 12 if y + 12 < plane.base else -6  # never on the axis
        at, anchor = (x + 6, "start") if x < WIDTH - 40 else (x - 6, "end")
        parts += [_dot((x, y), "dot"), _text(at, y + aside, str(number), anchor, "strong")]
    parts.append(plane.below("filled: the frontier; hollow: the rest"))
    return _svg(plane.height, "Cosine against milliseconds", parts)


@dataclass(frozen=True)
class _Plane:
    """Where times in milliseconds, and cosines by the power of ten of their loss, are drawn."""

    low: float
    high: float
    floor: int
    roof: int
    top: int = 16
    base: int = 180
    left: int = 62
    height: int = 230

    @classmethod
    def of(cls, points: Sequence[Mapping[str, Any]]) -> _Plane:
        """Return the plane that holds all points."""
        times = [point["milliseconds"] for point in points]
        exact = _decades(np.array([point["cosine"] for point in points]))
        floor = min(math.floor(exact.min()), _DECADES - 1)
        return cls(min(times), max(times), floor, max(math.ceil(exact.max()), floor + 1))

    def spot(self, point: Mapping[str, Any]) -> tuple[float, float]:
        """Return where a point is."""
        (decades,) = _decades(np.array([point["cosine"]])).tolist()
        span = self.high - self.low
        share = (point["milliseconds"] - self.low) / span if span else 0.5
        return self._x(share), self._y(decades)

    def _x(self, share: float) -> float:
        return self.left + 8 + (WIDTH - self.left - _RIGHT - 16) * share

    def _y(self, decades: float) -> float:
        return self.base - (self.base - self.top) * (decades - self.floor) / (
            self.roof - self.floor
        )

    def grid(self) -> Iterator[str]:
        """Yield a line with its cosine for each power of ten."""
        for decade in range(self.floor, self.roof + 1):
            y = self._y(decade)
            yield f'<path class="grid" d="M{self.left} {y:.1f}H{WIDTH - _RIGHT}"/>'
            yield _text(self.left - 4, y + 4, _cosine(decade), "end")

    def below(self, key: str) -> str:
        """Return the ends of the axis of time, one where they are the same, and what dots mean."""
        y, low, high = self.base + 18, *_apart(self.low, self.high)
        ends = [_text(self._x(0.5), y, f"{low} ms", "middle")]
        if low != high:
            ends = [
                _text(self._x(0), y, f"{low} ms"),
                _text(WIDTH - _RIGHT, y, f"{high} ms", "end"),
            ]
        return "".join([*ends, _text(self._x(0), self.base + 38, key)])


def _apart(low: float, high: float) -> tuple[str, str]:
    """Return two numbers with three digits, or as many as tell them apart."""
    pairs = [(_rounded(low, digits), _rounded(high, digits)) for digits in range(3, 7)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])


def _rounded(number: float, digits: int) -> str:
    return f"{float(f'{number:.{digits}g}'):g}"


def _steps(spots: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return f'<polyline class="line" points="{points}"/>'


def _dot(spot: tuple[float, float], kind: str) -> str:
    return f'<circle class="{kind}" cx="{spot[0]:.1f}" cy="{spot[1]:.1f}" r="3"/>'


def _square(spot: tuple[float, float], kind: str) -> str:
    x, y = spot
    return f'<rect class="{kind}" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'


def _steepest(layers: Sequence[Layer]) -> int:
    falls = [after.snr_db - before.snr_db for before, after in pairwise(layers)]
    return 1 + int(np.argmin(falls))


def _decades(values: Values) -> Values:
    """Return how many powers of ten cosines are from 1: 0 for 0, 2 for 0.99."""
    decades: Values = -np.log10(np.clip(1 - values, 10.0**-_DECADES, 1.0))
    return decades


def _x(cosine: float) -> float:
    return _LEFT + _span() * float(_decades(np.array([cosine]))[0]) / _DECADES


def _span() -> float:
    return WIDTH - _LEFT - _RIGHT


def _cosine(decade: int) -> str:
    return "0" if decade == 0 else f"{1 - 10.0**-decade:.{decade}f}"


def _cosine_axis(base: float) -> list[str]:
    parts = [f'<path class="axis" d="M{_LEFT} {base}H{WIDTH - _RIGHT}"/>']
    for decade in range(_DECADES + 1):
        x = _LEFT + _span() * decade / _DECADES
        parts.append(f'<path class="axis" d="M{x:.1f} {base}v4"/>')
        if decade < _DECADES:
            parts.append(_text(x, base + 34, _cosine(decade), "middle" if decade else "start"))
    return parts


def _linear_axis(most: float, y: float, unit: str) -> list[str]:
    step = _round_step(most)
    parts = [f'<path class="axis" d="M{_LEFT} {y}H{WIDTH - _RIGHT}"/>']
    for tick in np.arange(0, most, step).tolist():
        x = _LEFT + _span() * tick / most
        parts.append(f'<path class="axis" d="M{x:.1f} {y}v4"/>')
        parts.append(_text(x, y + 18, f"{tick:g}", "start" if tick == 0 else "middle"))
    return [*parts, _text(WIDTH - _RIGHT, y + 34, unit, "end")]


def _round_step(most: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that gives four to ten ticks."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(power * factor for factor in (5, 2, 1) if most / (power * factor) >= 4)


def _gate(bound: float, label: str, y: float, base: float) -> list[str]:
    x = _x(bound)
    return [
        f'<path class="gate" d="M{x:.1f} {y - 8}V{base}"/>',
        _text(x - 4, y, label, "end", "warn"),
    ]


def _mark(x: float, base: float, name: str, anchor: str) -> str:
    """Return a triangle below the axis and its name, on the side that `anchor` leaves free."""
    beside = {"start": 5, "end": -5}[anchor]
    triangle = f'<path class="mark" d="M{x:.1f} {base + 2}l4 7h-8z"/>'
    return triangle + _text(x + beside, base + 17, name, anchor)


def _bar(x: float, base: float, width: float, height: float) -> str:
    height = max(height, 1.5)
    return (
        f'<rect class="bar" x="{x:.1f}" y="{base - height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    css = f' class="{kind}"' if kind else ""
    return f'<text{css} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 all text in it went through `escape`
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )
