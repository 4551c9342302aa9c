import json
import re
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization.encodings import Encodings
from scripts import artefacts, catalog
from scripts.errors import GateError
from scripts.quantization import calibration, widths
from scripts.quantization.forms import Forms
from scripts.quantization.frontier import Branch, Budget, Frontier, Point
from scripts.quantization.pins import Pins
from tests.networks import observing, vit
from tests.unit.quantization.test_equalise import _pictures
from tests.unit.quantization.test_widths import EASY, _int8

POINTS = [
    Point(("a",), 0.98, 20.0, simulated=True),
    Point(("a", "b"), 0.99, 24.0),
    Point(("a", "b", "c"), 0.999, 30.0, simulated=True),
]


def test_a_time_buys_the_most_exact_and_an_accuracy_the_fastest() -> None:
    assert Budget(most_ms=25.0).choose([POINTS]) is POINTS[1]
    assert Budget(least_cosine=0.985).choose([POINTS]) is POINTS[1]
    assert Budget(most_ms=40.0, least_cosine=0.985).choose([POINTS]) is POINTS[2]


@pytest.mark.parametrize("budget", [Budget(most_ms=19.0), Budget(least_cosine=0.9999)])
def test_a_budget_out_of_reach_is_refused_with_what_is_in_reach(budget: Budget) -> None:
    with pytest.raises(GateError, match=r"20\.000 ms .* 0\.98.* 30\.000 ms .* 0\.999"):
        budget.choose([POINTS])


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(most_ms=0.2), "the most exact within --max-ms 0.2"),
        (Budget(least_cosine=0.9), "the fastest with --min-cosine 0.9"),
        (Budget(0.2, 0.9), "the most exact within --max-ms 0.2, which has --min-cosine 0.9 too"),
    ],
)
def test_a_budget_is_the_reason_of_a_choice(budget: Budget, reason: str) -> None:
    point = Point(("a",), 0.98, 0.1, simulated=True)
    branches: list[Any] = [OtherWeights([replace(point, cosine=0.99)], 0.0)]
    assert Frontier(branches).choose(budget).facts()["reason"] == reason


# Times are what the compiler tells; the points between the ends are expected to take longer.
REAL = {
    8: [(0.98, 20.00049), (0.99, 24.0), (0.990001, 23.0), (0.9900011, 29.0), (0.999, 30.00049)],
    4: [(0.97, 19.00049), (0.995, 26.00049), (0.99501, 25.00049), (0.9951, 25.5), (0.996, 40.0)],
}


def _branches(times: float = 1.5) -> list[Any]:
    """Return branches whose points are expected to take some times of what they take."""
    return [Timed(bits, points, times) for bits, points in REAL.items()]


class Timed:
    """A branch with invented points: the compiler simulated its ends, and tells other times."""

    def __init__(self, bits: int, points: list[tuple[float, float]], times: float) -> None:
        self._real = dict(points)
        self.points = [Point((), cosine, time * times, weights=bits) for cosine, time in points]
        for end in (self.points[0], self.points[-1]):
            self.time(end)

    def time(self, point: Point) -> None:
        real = replace(point, milliseconds=self._real[point.cosine], simulated=True)
        self.points[self.points.index(point)] = real

    def form(self, point: Point) -> Point:
        return point


@pytest.mark.parametrize(
    "budget",
    [
        Budget(most_ms=19.0),
        Budget(least_cosine=0.9995),
        Budget(19.0, 0.9995),
        Budget(19.0, 0.98),
        Budget(22.0, 0.9995),
        Budget(22.0, 0.995),
        Budget(23.5, 0.9950001),
        Budget(24.5, 0.9900005),
        Budget(25.0, 0.995005),
    ],
)
@pytest.mark.parametrize("times", [0.5, 1.0, 1.5])
def test_every_budget_that_a_refusal_names_is_met(budget: Budget, times: float) -> None:
    try:
        choice = Frontier(_branches(times)).choose(budget)
    except GateError as refusal:
        ways = refusal.remedy.split(", or ")
    else:
        ways = [str(budget)]
        assert budget.holds(choice.point)
    for way in ways:
        limits = dict(re.findall(r"(--\S+) (\S+)", way))
        most, least = (limits.get(name) for name in ("--max-ms", "--min-cosine"))
        other = Budget(most and float(most), least and float(least))
        assert str(other) == way
        point = Frontier(_branches(times)).choose(other).point
        assert point.simulated
        assert other.holds(point)


def test_no_budget_is_refused_that_a_near_point_holds_whose_time_was_expected_to_be_longer() -> (
    None
):
    for budget in (Budget(25.4, 0.995), Budget(23.5, 0.99)):
        point = Frontier(_branches()).choose(budget).point
        assert budget.holds(point)


def test_budgets_that_hold_for_no_point_together_are_told_the_nearest_ones() -> None:
    with pytest.raises(GateError, match=r"both budgets: .* 20\.000 ms .* 25\.000 ms") as refusal:
        Frontier(_branches()).choose(Budget(most_ms=22.0, least_cosine=0.995))
    assert refusal.value.remedy == (
        "--max-ms 25.001 --min-cosine 0.995, or --max-ms 22.0 --min-cosine 0.98"
    )


def test_a_refusal_names_times_that_were_simulated() -> None:
    slow = OtherWeights([*POINTS], real=26.0)
    branches: list[Any] = [slow]
    with pytest.raises(GateError, match="the most exact in time take 20"):
        Frontier(branches).choose(Budget(most_ms=25.0, least_cosine=0.995))
    assert slow.points[1].simulated


class Invented:
    """A real network with an invented time, told of half of what the search expects."""

    def __init__(self, folder: Path, wide: Collection[str] = ()) -> None:
        _pictures(folder / "calibration", 10, seed=1)
        _, calibrated = _int8(folder, vit.write(folder, seed=EASY))
        narrow = Encodings(
            widths.at(calibrated.activations, calibrated.activations, widths.NARROW),
            calibrated.params,
        )
        network = Network.load(folder / artefacts.quantized_onnx("digits", "int8"))
        unseen = observing.unseen(network, _pictures(folder / "unseen", 2, seed=3))
        (folder / "scratch").mkdir()
        juries = calibration.juries(unseen, unseen, catalog.precisions()["int8"])[:1]
        pins = Pins(wide=frozenset(wide))
        self.search = calibration.search(network, narrow, juries, folder / "scratch", pins)
        plain = {"LayerNormalization": (network, narrow)}
        self.forms = Forms(plain, lambda _, encodings: self.time(encodings))
        self.branch = Branch(self.search, self.forms)
        self.frontier = Frontier([self.branch])

    def time(self, encodings: Encodings) -> float:
        wide = sum(encoding.bits == widths.WIDE for encoding in encodings.activations.values())
        return 1 + (wide / 100) ** 2


@pytest.fixture
def invented(tmp_path: Path) -> Invented:
    return Invented(tmp_path)


def test_a_frontier_pays_for_accuracy(invented: Invented, tmp_path: Path) -> None:
    points = invented.frontier.points
    assert len(points) > 3
    assert [point.simulated for point in points[:: len(points) - 1]] == [True, True]
    for cheap, dear in pairwise(points):
        assert cheap.cosine < dear.cosine
    invented.frontier.save(tmp_path / "frontier.json")
    saved = json.loads((tmp_path / "frontier.json").read_text())
    assert [entry["cosine"] for entry in saved] == [point.cosine for point in points]


def test_a_point_has_every_kind_at_16_bits_the_pinned_ones_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "Sigmoid to Mul"
    kinds = widths.kinds(Network.load(vit.write(tmp_path, seed=EASY)))
    pinned = Invented(tmp_path, wide=kinds[kind][:1])
    narrowest, *others = pinned.frontier.points
    assert narrowest.kinds == (kind,)
    assert narrowest.raised == ()
    for point in (narrowest, *others):
        wide = pinned.branch.form(point).wide
        assert set(point.kinds) == {name for name in kinds if wide.intersection(kinds[name])}
    choice = pinned.frontier.choose(Budget(least_cosine=narrowest.cosine))
    assert choice.form.what == "8-bit weights, activations of 1 kind at 16 bits"
    assert "activations of 1 kind at 16 bits, named by" in capsys.readouterr().out


@pytest.mark.parametrize("place", [0, 1, 2, -2, -1])
def test_what_is_chosen_was_simulated_and_is_in_the_budget(invented: Invented, place: int) -> None:
    frontier = invented.frontier
    cosine = frontier.points[place].cosine
    form = frontier.choose(Budget(least_cosine=cosine)).form
    assert form.milliseconds == invented.time(form.encodings)
    point = next(other for other in frontier.points if other.milliseconds == form.milliseconds)
    assert point.simulated
    assert point.cosine >= cosine


def test_a_simulation_corrects_the_points_beside_it(invented: Invented) -> None:
    frontier = invented.frontier
    expected = [point.milliseconds for point in frontier.points]
    middle = len(expected) // 2
    form = frontier.choose(Budget(most_ms=expected[middle], least_cosine=None)).form
    corrected = [point.milliseconds for point in frontier.points]
    assert corrected != expected
    assert form.milliseconds <= expected[middle]
    # Of those that are in the budget, none that is more exact was left out.
    better = [p for p in frontier.points if p.milliseconds <= expected[middle]]
    assert max(better, key=lambda point: point.cosine).milliseconds == form.milliseconds


class OtherWeights:
    """A branch with invented points, and times that the compiler tells otherwise."""

    def __init__(self, points: list[Point], real: float) -> None:
        self.points, self._real = points, real

    def time(self, point: Point) -> None:
        place = self.points.index(point)
        self.points[place] = replace(point, milliseconds=self._real, simulated=True)

    def form(self, point: Point) -> float:
        return point.milliseconds


NARROW = Point(("a",), 0.985, 12.0, weights=4)


def test_weights_of_four_bits_are_on_the_frontier_where_nothing_faster_is_as_exact() -> None:
    less_exact = replace(NARROW, cosine=0.97, milliseconds=21.0)
    branches: list[Any] = [OtherWeights(POINTS, 0.0), OtherWeights([NARROW, less_exact], 0.0)]
    assert Frontier(branches).points == [NARROW, *POINTS[1:]]


@pytest.mark.parametrize(("real", "weights"), [(12.5, 4), (26.0, 8)])
def test_the_choice_between_weights_is_made_again_once_it_was_simulated(
    real: float, weights: int
) -> None:
    exact = [replace(point, simulated=True) for point in POINTS]
    branches: list[Any] = [OtherWeights(exact, 0.0), OtherWeights([NARROW], real)]
    choice: Any = Frontier(branches).choose(Budget(least_cosine=0.984))
    assert choice.point.weights == weights
    assert choice.branch is branches[weights == 4]
    assert choice.facts()["weights"] == weights
    assert choice.form == (real if weights == 4 else 24.0)
