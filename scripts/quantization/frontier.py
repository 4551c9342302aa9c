"""Accuracy against latency: every width that pays, and the choice of one within a budget.

Cosines are measured, on the pictures that judge every choice (`jury`); times are the compiler's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from openqnn.progress import say, track
from openqnn.quantization import recipe
from scripts.errors import GateError
from scripts.quantization.forms import Form, Forms
from scripts.quantization.search import LEAST_COST, Kind, Search, tensors
from scripts.words import counted


@dataclass(frozen=True)
class Point:
    """Kinds of activations at 16 bits, the worst cosine with them, milliseconds an inference.

    `weights` are the bits of weights: 4 are for those of MLPs.
    """

    kinds: tuple[str, ...]
    cosine: float
    milliseconds: float
    simulated: bool = False
    weights: int = recipe.WEIGHT_BITS

    def __str__(self) -> str:
        return f"{self.milliseconds:.3f} ms with a cosine of {self.cosine:.5f}"


@dataclass(frozen=True)
class Budget:
    """What a point may take, in milliseconds, and must reach, in cosine; None sets no limit.

    Points are those of a frontier: in the order of their times, and so of their cosines.
    """

    most_ms: float | None = None
    least_cosine: float | None = None

    def choose(self, points: Sequence[Point]) -> Point:
        """Return the most exact point in time, or the fastest that is exact enough.

        Raises:
            GateError: there is none.
        """
        first, *others = self.decisive(points)
        if self._in_time(first) and self._is_exact(first):
            return first
        raise self._refusal(first, others[0] if others else first)

    def decisive(self, points: Sequence[Point]) -> list[Point]:
        """Return the point to choose, else the two that come nearest: the faster one is first."""
        in_time = [point for point in points if self._in_time(point)]
        exact = [point for point in points if self._is_exact(point)]
        if held := [point for point in in_time if point in exact]:
            return [held[0] if self.most_ms is None else held[-1]]
        if in_time and exact:
            return [in_time[-1], exact[0]]
        return [points[0], points[-1]]

    @property
    def reason(self) -> str:
        """Return in words what it has one choose."""
        exact = f"--min-cosine {self.least_cosine}"
        if self.most_ms is None:
            return f"the fastest with {exact}"
        within = f"the most exact within --max-ms {self.most_ms}"
        return within if self.least_cosine is None else f"{within}, which has {exact} too"

    def _in_time(self, point: Point) -> bool:
        return self.most_ms is None or point.milliseconds <= self.most_ms

    def _is_exact(self, point: Point) -> bool:
        return self.least_cosine is None or point.cosine >= self.least_cosine

    def _refusal(self, fast: Point, exact: Point) -> GateError:
        """Return a refusal that says what comes nearest: one budget holds for each, or neither."""
        if self._in_time(fast) and self._is_exact(exact):
            milliseconds = f"{math.ceil(exact.milliseconds * 1000) / 1000:.3f}"
            cosine = f"{math.floor(fast.cosine * 1e5) / 1e5:.5f}"
            return GateError(
                f"No widths of activations hold both budgets: the most exact in time take "
                f"{fast}, the fastest that are exact enough {exact}.",
                remedy=f"--max-ms {milliseconds} or --min-cosine {cosine} beside the other one",
            )
        return GateError(
            f"No widths of activations are within the budget: the fastest take {fast}, the most "
            f"exact {exact}.",
            remedy="a --max-ms or --min-cosine between these; both may be given together",
        )


class Branch:
    """The points of a network whose weights are what they are, in the order of their cosines.

    The compiler simulates the two ends, and every point that is about to be chosen. Between points
    that were simulated, time goes with what 16 bits cost elsewhere; so each simulation corrects its
    neighbours.
    """

    def __init__(self, search: Search, forms: Forms, weights: int = recipe.WEIGHT_BITS) -> None:
        self.search, self.forms, self.weights = search, forms, weights
        self._kinds = {kind.name: kind for kind in search.kinds}
        order = _by_worth(search)
        self._costs = {kind.name: max(kind.cost, LEAST_COST) for kind in order}
        self.points: list[Point] = []
        for count in track(range(len(order) + 1), f"choices with weights of {weights} bits"):
            names = tuple(kind.name for kind in order[:count])
            cosine = 1 - search.loss(self._tensors(names))
            if not self.points or cosine > self.points[-1].cosine:
                self.points.append(Point(names, cosine, 0.0, weights=weights))
        for place in {0, len(self.points) - 1}:
            self.time(self.points[place])

    def form(self, point: Point) -> Form:
        """Return the fastest form of a point."""
        count = counted(len(point.kinds), "kind")
        label = f"{point.weights}-bit weights, {count} of activations at 16 bits"
        return self.forms.fastest({label: self._tensors(point.kinds)})

    def time(self, point: Point) -> None:
        """Simulate a point, and tell those that were not from those that were."""
        simulated = replace(point, milliseconds=self.form(point).milliseconds, simulated=True)
        self.points[self.points.index(point)] = simulated
        known = [point for point in self.points if point.simulated]
        costs = [self._cost(point) for point in known]
        times = [point.milliseconds for point in known]
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
        return self.search.start | (chosen & self.search.most)


class Frontier:
    """The points of all branches that nothing faster is as exact as; branches differ in weights.

    What is about to be chosen is simulated, and the choice is made again until it is one that was.
    """

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._branches = branches

    @property
    def points(self) -> list[Point]:
        """Return the points, the fastest first."""
        found: list[Point] = []
        every = (point for branch in self._branches for point in branch.points)
        for point in sorted(every, key=lambda point: (point.milliseconds, -point.cosine)):
            if not found or point.cosine > found[-1].cosine:
                found.append(point)
        return found

    def choose(self, budget: Budget) -> Choice:
        """Return the form to build; what is chosen is simulated, and must stay in the budget.

        Raises:
            GateError: no point is within it.
        """
        while rough := [point for point in budget.decisive(self.points) if not point.simulated]:
            self._branch(rough[0]).time(rough[0])
        point = budget.choose(self.points)
        say(
            f"  chosen: {point.milliseconds:.3f} ms, worst cosine {point.cosine:.5f}, "
            f"weights of {point.weights} bits; {counted(len(point.kinds), 'kind')} of activations "
            "at 16 bits, named by what writes and what reads them:"
        )
        for name in point.kinds:
            say(f"    {name}")
        branch = self._branch(point)
        return Choice(branch.form(point), branch, point, budget.reason)

    def save(self, path: Path) -> None:
        """Write all points as JSON."""
        path.write_text(json.dumps([asdict(point) for point in self.points], indent=1) + "\n")

    def _branch(self, point: Point) -> Branch:
        return next(branch for branch in self._branches if point in branch.points)


@dataclass(frozen=True)
class Choice:
    """A point that was chosen, the branch that it is of, and what becomes of it."""

    form: Form
    branch: Branch
    point: Point
    reason: str

    def facts(self) -> dict[str, object]:
        """Return what a report says of the choice."""
        reached = round(self.point.cosine, 6)
        return {"reason": self.reason, "reached": reached, "weights": self.point.weights}


def _by_worth(search: Search) -> list[Kind]:
    """Return the kinds whose width is open, those that save the most for their cost first."""
    losses: dict[str, float] = {}
    for group in search.groups():
        losses[group.kind] = losses.get(group.kind, 0.0) + group.loss
    found = [kind for kind in search.kinds if kind.name in losses]
    return sorted(
        found, key=lambda kind: (-losses[kind.name] / max(kind.cost, LEAST_COST), kind.name)
    )
