"""Accuracy against latency: every width that pays, and the choice of one within a budget.

Cosines are measured, on the pictures that judge every choice (`jury`); times are the compiler's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import numpy as np

from openqnn.progress import say, track
from openqnn.quantization import recipe
from scripts.errors import GateError
from scripts.quantization.forms import Form, Forms
from scripts.quantization.search import LEAST_COST, Kind, Search, tensors
from scripts.words import counted

# So many points of a branch that are just exact enough are simulated before a refusal.
NEAREST = 3
# Digits of a cosine that a refusal names, where they tell points apart.
DIGITS = 5


@dataclass(frozen=True)
class Point:
    """Kinds of activations at 16 bits, the worst cosine with them, milliseconds an inference.

    `kinds` are those of which some have 16 bits, pinned ones and such as are faster included;
    `raised` are those that a frontier adds, whole except what is pinned to 8 bits. `weights` are
    the bits of weights: 4 are for those of MLPs.
    """

    kinds: tuple[str, ...]
    cosine: float
    milliseconds: float
    simulated: bool = False
    weights: int = recipe.WEIGHT_BITS
    raised: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.milliseconds:.3f} ms with a cosine of {self.cosine:.5f}"


@dataclass(frozen=True)
class Budget:
    """What a point may take, in milliseconds, and must reach, in cosine; None sets no limit."""

    most_ms: float | None = None
    least_cosine: float | None = None

    def __str__(self) -> str:
        limits = (("--max-ms", self.most_ms), ("--min-cosine", self.least_cosine))
        return " ".join(f"{name} {limit}" for name, limit in limits if limit is not None)

    def choose(self, branches: Sequence[Sequence[Point]]) -> Point:
        """Return the most exact point in time, or the fastest that is exact enough.

        Args:
            branches: the points of each; those of `decisive` are simulated, and where none is
                within the budget those of `sure`.

        Raises:
            GateError: there is none. The budgets that it names are met.
        """
        first, *others = self.decisive(fastest(branches))
        if self.holds(first):
            return first
        raise self._refusal(first, others[0], branches)

    def decisive(self, points: Sequence[Point]) -> list[Point]:
        """Return the point of a frontier to choose, else the two that come nearest.

        These are the most exact one in time and the fastest that is exact enough. Where there are
        none, or no such limit is set, they are the fastest and the most exact one of all.
        """
        in_time = [point for point in points if self._in_time(point)]
        exact = [point for point in points if self._is_exact(point)]
        if held := [point for point in in_time if point in exact]:
            return [held[0] if self.most_ms is None else held[-1]]
        near = in_time[-1:] if self.most_ms is not None else []
        enough = exact[:1] if self.least_cosine is not None else []
        return [*(near or points[:1]), *(enough or points[-1:])]

    def holds(self, point: Point) -> bool:
        """Tell whether a point is within it."""
        return self._in_time(point) and self._is_exact(point)

    def sure(self, points: Sequence[Point]) -> list[Point]:
        """Return which points of a branch are to be simulated before a refusal.

        Cosines are measured, times are estimates. So these are the least exact of those that are
        exact enough, as a rule the fastest, and the most exact one. They are the same whatever the
        time: a budget of this cosine and the time of any of them is met.
        """
        exact = [point for point in points if self._is_exact(point)]
        return [*exact[:NEAREST], *exact[NEAREST:][-1:]]

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

    def _refusal(self, fast: Point, exact: Point, branches: Sequence[Sequence[Point]]) -> GateError:
        """Return a refusal that says what comes nearest."""
        limits = (self.most_ms is not None, self.least_cosine is not None)
        near = "the most exact in time" if limits[0] and self._in_time(fast) else "the fastest"
        is_enough = limits[1] and self._is_exact(exact)
        enough = "the fastest that are exact enough" if is_enough else "the most exact"
        ways = map(str, self._met(fast, exact, branches))
        return GateError(
            f"No widths of activations {'hold both budgets' if all(limits) else 'hold the budget'}:"
            f" {near} take {fast}, {enough} {exact}.",
            remedy=", or ".join(dict.fromkeys(ways)),
        )

    def _met(
        self, fast: Point, exact: Point, branches: Sequence[Sequence[Point]]
    ) -> Iterator[Budget]:
        """Yield budgets that are met, as near as can be: a cosine has its point among the `sure`.

        One limit stays where there are points within it, else both are those of one point.
        """
        enough = [point for points in branches for point in self.sure(points)]
        if enough and self.most_ms is not None:
            time = min(point.milliseconds for point in enough)
            yield replace(self, most_ms=_rounded(time, 3, ROUND_CEILING))
        if self.least_cosine is not None and self._in_time(fast):
            reached = fast if self.most_ms is not None else exact
            yield replace(self, least_cosine=_reached(reached, branches))
        if not enough and not self._in_time(fast):
            for point in (fast, exact):
                time = _rounded(point.milliseconds, 3, ROUND_CEILING)
                yield Budget(time, _reached(point, branches))


def fastest(branches: Iterable[Iterable[Point]]) -> list[Point]:
    """Return the points that nothing faster is as exact as, the fastest first."""
    frontier: list[Point] = []
    every = (point for points in branches for point in points)
    for point in sorted(every, key=lambda point: (point.milliseconds, -point.cosine)):
        if not frontier or point.cosine > frontier[-1].cosine:
            frontier.append(point)
    return frontier


def _reached(point: Point, branches: Iterable[Iterable[Point]]) -> float:
    """Return a cosine of few digits that a point has, and no point has that is less exact."""
    less = [other.cosine for points in branches for other in points if other.cosine < point.cosine]
    cosines = (_rounded(point.cosine, digits, ROUND_FLOOR) for digits in itertools.count(DIGITS))
    return next(cosine for cosine in cosines if cosine > max(less, default=-1.0) or not less)


def _rounded(value: float, digits: int, to: str) -> float:
    # Of a decimal that a float is written as, one on its side is on that side as a float too.
    return float(Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), to))


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
            raised = tuple(kind.name for kind in order[:count])
            wide = self._tensors(raised)
            cosine = 1 - search.loss(wide)
            if not self.points or cosine > self.points[-1].cosine:
                kinds = tuple(search.named(wide))
                self.points.append(Point(kinds, cosine, 0.0, weights=weights, raised=raised))
        for place in {0, len(self.points) - 1}:
            self.time(self.points[place])

    def form(self, point: Point) -> Form:
        """Return the fastest form of a point."""
        count = counted(len(point.kinds), "kind")
        label = f"{point.weights}-bit weights, activations of {count} at 16 bits"
        return self.forms.fastest({label: self._tensors(point.raised)})

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
        return sum(self._costs[name] for name in point.raised)

    def _tensors(self, names: Sequence[str]) -> set[str]:
        raised = tensors(self._kinds[name] for name in names)
        return self.search.start | (raised & self.search.most)


class Frontier:
    """The points of all branches that nothing faster is as exact as; branches differ in weights.

    What is about to be chosen is simulated, and the choice is made again until it is one that was.
    """

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._branches = branches

    @property
    def points(self) -> list[Point]:
        """Return the points, the fastest first."""
        return fastest(self._points)

    @property
    def _points(self) -> list[list[Point]]:
        return [branch.points for branch in self._branches]

    def choose(self, budget: Budget) -> Choice:
        """Return the form to build; what is chosen is simulated, and must stay in the budget.

        An estimate may be too long. So before it refuses, the nearest points are simulated too.

        Raises:
            GateError: no point is within it.
        """
        self._time(lambda: budget.decisive(self.points))
        if not any(map(budget.holds, self.points)):
            self._time(lambda: [point for own in self._points for point in budget.sure(own)])
            self._time(lambda: budget.decisive(self.points))
        point = budget.choose(self._points)
        say(
            f"  chosen: {point.milliseconds:.3f} ms, worst cosine {point.cosine:.5f}, "
            f"weights of {point.weights} bits; activations of {counted(len(point.kinds), 'kind')} "
            "at 16 bits, named by what writes and what reads them:"
        )
        for name in point.kinds:
            say(f"    {name}")
        branch = self._branch(point)
        return Choice(branch.form(point), branch, point, budget.reason)

    def save(self, path: Path) -> None:
        """Write all points as JSON."""
        path.write_text(json.dumps([asdict(point) for point in self.points], indent=1) + "\n")

    def _time(self, needed: Callable[[], Sequence[Point]]) -> None:
        """Simulate what is needed; each simulation tells anew what that is."""
        while rough := [point for point in needed() if not point.simulated]:
            self._branch(rough[0]).time(rough[0])

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
    kinds = [kind for kind in search.kinds if kind.name in losses]
    return sorted(
        kinds, key=lambda kind: (-losses[kind.name] / max(kind.cost, LEAST_COST), kind.name)
    )
