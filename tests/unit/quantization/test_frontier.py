import json
from itertools import pairwise
from pathlib import Path

import pytest

from openqnn.quantization.encodings import Encodings
from scripts import artefacts
from scripts.errors import GateError
from scripts.quantization import calibration, widths
from scripts.quantization.frontier import Budget, Frontier, Point
from tests.networks import vit
from tests.unit.quantization.test_equalise import _pictures
from tests.unit.quantization.test_widths import _int8

POINTS = [
    Point(("a",), 0.98, 20.0, simulated=True),
    Point(("a", "b"), 0.99, 24.0),
    Point(("a", "b", "c"), 0.999, 30.0, simulated=True),
]


def test_a_time_buys_the_most_exact_and_an_accuracy_the_fastest() -> None:
    assert Budget(most_ms=25.0).choose(POINTS) is POINTS[1]
    assert Budget(least_cosine=0.985).choose(POINTS) is POINTS[1]
    assert Budget(most_ms=40.0, least_cosine=0.985).choose(POINTS) is POINTS[2]


@pytest.mark.parametrize("budget", [Budget(most_ms=19.0), Budget(least_cosine=0.9999)])
def test_a_budget_out_of_reach_is_refused_with_what_is_in_reach(budget: Budget) -> None:
    with pytest.raises(GateError, match=r"20\.000 ms .* 0\.98.* 30\.000 ms .* 0\.999"):
        budget.choose(POINTS)


@pytest.fixture
def frontier(tmp_path: Path) -> Frontier:
    """A real network; an invented time, a millisecond for 100 wide activations."""
    _pictures(tmp_path / "calibration", 10, seed=1)
    _, made = _int8(tmp_path, vit.write(tmp_path))
    narrow = Encodings(widths.at(made.activations, made.activations, widths.NARROW), made.params)
    (tmp_path / "scratch").mkdir()
    path = tmp_path / artefacts.quantized_onnx("digits", "int8")
    unseen = _pictures(tmp_path / "unseen", 2, seed=3)
    search = calibration.search(path, narrow, unseen, tmp_path / "scratch")
    return Frontier(search, lambda wide: 1 + len(wide) / 100)


def test_a_frontier_pays_for_accuracy_with_time(frontier: Frontier, tmp_path: Path) -> None:
    assert len(frontier.points) > 3
    for cheap, dear in pairwise(frontier.points):
        assert cheap.cosine < dear.cosine
        assert cheap.milliseconds < dear.milliseconds
    frontier.save(tmp_path / "frontier.json")
    saved = json.loads((tmp_path / "frontier.json").read_text())
    assert [one["cosine"] for one in saved] == [one.cosine for one in frontier.points]


def test_what_is_chosen_was_simulated_and_is_in_the_budget(frontier: Frontier) -> None:
    middle = frontier.points[len(frontier.points) // 2]
    wide = frontier.choose(Budget(most_ms=middle.milliseconds))
    assert 0 < 1 + len(wide) / 100 <= middle.milliseconds
    held = [one for one in frontier.points if one.milliseconds <= middle.milliseconds]
    assert held[-1].simulated
    assert 1 + len(wide) / 100 == held[-1].milliseconds
