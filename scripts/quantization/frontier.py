"""Accuracy against latency: every width that pays, and the choice of one within a budget.

Cosines are measured, on pictures that calibration has not seen; times are the compiler's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from openqnn.progress import say, track
from scripts.errors import GateError
from scripts.quantization.forms import Form, Forms
from scripts.quantization.search import LEAST_COST, Kind, Search, tensors


@dataclass(frozen=True)
class Point:
    """Kinds of activations at 16 bits, the worst cosine with them, milliseconds an inference."""

    kinds: tuple[str, ...]
    cosine: float
    milliseconds: float
    simulated: bool = False


@dataclass(frozen=True)
class Budget:
    """What a point may take, in milliseconds, and must reach, in cosine; None sets no limit."""

    most_ms: float | None = None
    least_cosine: float | None = None

    def choose(self, points: Sequence[Point]) -> Point:
        """Return the most exact point in time, or the fastest that is exact enough.

        Raises:
            GateError: there is none.
        """
        held = [
            point
            for point in points
            if (self.most_ms is None or point.milliseconds <= self.most_ms)
            and (self.least_cosine is None or point.cosine >= self.least_cosine)
        ]
        if not held:
            raise GateError(
                f"No widths of activations are within the budget: the fastest take "
                f"{points[0].milliseconds:.3f} ms with a cosine of {points[0].cosine:.5f}, the "
                f"most exact {points[-1].milliseconds:.3f} ms with {points[-1].cosine:.5f}.",
                remedy="a --max-ms or --min-cosine between these",
            )
        if self.most_ms is None:
            return min(held, key=lambda point: point.milliseconds)
        return max(held, key=lambda point: point.cosine)


class Frontier:
    """The points of a network that nothing cheaper is as exact as, cheapest first.

    The compiler simulates the two ends, and every point that is about to be chosen. Between points
    that were simulated, time goes with what 16 bits cost elsewhere; so each simulation corrects its
    neighbours, and the choice is made again until it is one that was simulated.
    """

    def __init__(self, search: Search, forms: Forms) -> None:
        self._kinds = {kind.name: kind for kind in search.kinds}
        self._search, self._forms = search, forms
        order = _by_worth(search)
        self._costs = {kind.name: max(kind.cost, LEAST_COST) for kind in order}
        self.points: list[Point] = []
        for count in track(range(len(order) + 1), "frontier"):
            names = tuple(kind.name for kind in order[:count])
            cosine = 1 - search.loss(self._tensors(names))
            if not self.points or cosine > self.points[-1].cosine:
                self.points.append(Point(names, cosine, 0.0))
        for place in {0, len(self.points) - 1}:
            self._time(place)

    def choose(self, budget: Budget) -> Form:
        """Return the form to build; what is chosen is simulated, and must stay in the budget.

        Raises:
            GateError: no point is within it.
        """
        while not (point := budget.choose(self.points)).simulated:
            self._time(self.points.index(point))
        say(f"  {point.milliseconds:.3f} ms, cosine {point.cosine:.5f}; 16 bits for:")
        for name in point.kinds:
            say(f"    {name}")
        self._point = point
        return self._forms.fastest({"chosen": self._tensors(point.kinds)})

    def facts(self) -> dict[str, object]:
        """Return what a report says of the choice."""
        return {"reason": "the budget", "reached": round(self._point.cosine, 6)}

    def save(self, path: Path) -> None:
        """Write all points as JSON."""
        path.write_text(json.dumps([asdict(point) for point in self.points], indent=1) + "\n")

    def _time(self, place: int) -> None:
        """Simulate a point, and tell those that were not from those that were."""
        point = self.points[place]
        form = self._forms.fastest({f"{len(point.kinds)} kinds": self._tensors(point.kinds)})
        self.points[place] = replace(point, milliseconds=form.milliseconds, simulated=True)
        known = [point for point in self.points if point.simulated]
        costs, times = [self._cost(one) for one in known], [one.milliseconds for one in known]
        self.points = [
            point
            if point.simulated
            else replace(point, milliseconds=float(np.interp(self._cost(point), costs, times)))
            for point in self.points
        ]

    def _cost(self, point: Point) -> float:
        return sum(self._costs[name] for name in point.kinds)

    def _tensors(self, names: Sequence[str]) -> set[str]:
        chosen = tensors(self._kinds[name] for name in names)
        return self._search.start | (chosen & self._search.most)


def _by_worth(search: Search) -> list[Kind]:
    """Return the kinds whose width is open, those that save the most for their cost first."""
    losses: dict[str, float] = {}
    for group in search.groups():
        losses[group.kind] = losses.get(group.kind, 0.0) + group.loss
    found = [kind for kind in search.kinds if kind.name in losses]
    return sorted(
        found, key=lambda kind: (-losses[kind.name] / max(kind.cost, LEAST_COST), kind.name)
    )
