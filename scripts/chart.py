"""A line chart as SVG text: without a library or a font, so the bytes are always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 420, 70, 40, 60
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad")
TICKS = 5


def lines(
    title: str, unit: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]
) -> str:
    """Return a chart of some series over common labels; `unit` is written at the vertical axis."""
    everything = [value for values in series.values() for value in values]
    low, high = min(everything), max(everything)
    high = high if high > low else low + 1.0
    width, height = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM

    def x(place: int) -> float:
        return LEFT + width * place / max(len(labels) - 1, 1)

    def y(value: float) -> float:
        return TOP + height * (high - value) / (high - low)

    parts = [_text(WIDTH / 2, 20, title, "middle"), _text(8, TOP - 8, unit)]
    for tick in range(TICKS + 1):
        value = low + (high - low) * tick / TICKS
        at = y(value)
        parts.append(
            f'<path d="M{LEFT} {at:.1f}H{WIDTH - 20}" stroke="#ddd"/>'
            + _text(LEFT - 6, at + 4, f"{value:.4g}", "end")
        )
    for number, (name, curve) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        parts.append(_text(LEFT + 160 * number, HEIGHT - 12, name, colour=colour))
    for place in {0, len(labels) - 1}:
        end = "end" if place else "start"
        parts.append(_text(x(place), HEIGHT - BOTTOM + 18, labels[place], end))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#333") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {where}>{escape(text)}</text>"
