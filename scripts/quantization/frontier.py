"""Accuracy against latency: every width that pays, and the choice of one within a budget.

Cosines are measured, on pictures that calibration has not seen. The compiler simulates the two ends
and whatever is chosen; between the ends a point's time is told by what its 16 bits cost elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openqnn.progress import say, track
from scripts.errors import GateError
from scripts.quantization.search import Kind, Search, tensors

Simulate = Callable[[set[str]], float]


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
        return held[0] if self.most_ms is None else held[-1]


class Frontier:
    """The points of a network that nothing cheaper is as exact as, cheapest first."""

    def __init__(self, search: Search, simulate: Simulate) -> None:
        self._kinds = {kind.name: kind for kind in search.kinds}
        self._simulate = simulate
        order = _by_worth(search)
        ends = [simulate(tensors(chosen)) for chosen in (search.free, search.kinds)]
        dear = sum(kind.cost for kind in order)
        self.points: list[Point] = []
        for count in track(range(len(order) + 1), "frontier"):
            chosen = [*search.free, *order[:count]]
            share = sum(kind.cost for kind in order[:count]) / dear
            time = ends[0] + share * (ends[1] - ends[0])
            cosine = 1 - search.loss(tensors(chosen))
            if not self.points or cosine > self.points[-1].cosine:
                names = tuple(kind.name for kind in chosen)
                self.points.append(Point(names, cosine, time, share in (0, 1)))

    def choose(self, budget: Budget) -> set[str]:
        """Return the tensors to raise; what is chosen is simulated, and must stay in the budget.

        Raises:
            GateError: no point is within it.
        """
        while not (chosen := budget.choose(self.points)).simulated:
            time = self._simulate(self._tensors(chosen))
            place = self.points.index(chosen)
            self.points[place] = replace(chosen, milliseconds=time, simulated=True)
        say(f"  {chosen.milliseconds:.3f} ms, cosine {chosen.cosine:.5f}; 16 bits for:")
        for name in chosen.kinds:
            say(f"    {name}")
        return self._tensors(chosen)

    def save(self, path: Path) -> None:
        """Write all points as JSON."""
        path.write_text(json.dumps([asdict(point) for point in self.points], indent=1) + "\n")

    def _tensors(self, point: Point) -> set[str]:
        return tensors([self._kinds[name] for name in point.kinds])


def _by_worth(search: Search) -> list[Kind]:
    """Return the kinds that cost time by the loss that 16 bits for them save in it, best first."""
    everything = tensors(search.kinds)
    costly = search.kinds[len(search.free) :]
    least = search.loss(everything)
    worth = {
        kind.name: (search.loss(everything.difference(kind.tensors)) - least) / kind.cost
        for kind in track(costly, "sensitivity")
    }
    return sorted(costly, key=lambda kind: (-worth[kind.name], kind.name))
