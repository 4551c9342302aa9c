from collections.abc import Collection
from pathlib import Path
from typing import Any

from scripts.bench import gains, record_timelines, timelines
from scripts.bench.gains import IDLE, Bench

USUAL = ["whole-rotary", "pad-tokens"]


def share(microseconds: float, dram_bytes: int = 0, **busy: float) -> dict[str, Any]:
    figures = {"microseconds": microseconds, "dram_bytes": dram_bytes}
    return {**figures, "busy_microseconds": busy, "vtcm_bytes": 0, "unit": "HVX"}


class Twins(Bench):
    """A compiler whose layers have 10 us of Softmax, and 4 us of a Concat without whole-rotary."""

    usual = USUAL

    def __init__(self) -> None:
        self._twins = {depth: Path(f"{depth}") for depth in gains.DEPTHS}

    def _traced(self, twin: Path, names: Collection[str]) -> dict[str, Any]:
        depth = int(twin.name)
        kinds = {"Softmax": share(7 + 10 * depth, 1000 * depth, HVX=20.0 * depth), IDLE: share(3)}
        if "whole-rotary" not in names:
            kinds["Concat"] = share(4 * depth, HVX=4.0 * depth)
        if "halve-heads" in names:
            kinds["Softmax"] = share(7 + 8 * depth, 1000 * depth, HVX=20.0 * depth)
        return {"missing": depth * ("rms-norms" in names), "kinds": kinds}


def measured(*only: str) -> dict[str, Any]:
    layers = dict(timelines.measure(Twins(), only))
    network = {"model": "vits16", "size": "224", "precision": "int8"}
    return {**network, "used": USUAL, "layers": layers}


def test_a_layer_is_half_of_what_two_more_take() -> None:
    layer = measured()["layers"][timelines.AS_BUILT]
    assert layer["Softmax"]["microseconds"] == 10
    assert (layer["Softmax"]["dram_bytes"], layer["Softmax"]["HVX"]) == (1000, 20)
    assert layer[IDLE]["microseconds"] == 0


def test_a_layer_with_an_operator_that_has_no_cost_is_left_out() -> None:
    assert measured("rms-norms", "pad-tokens")["layers"].keys() == {
        timelines.AS_BUILT,
        "pad-tokens",
    }


def test_a_kind_that_a_rewrite_takes_away_is_what_it_gains() -> None:
    layers = measured("whole-rotary")["layers"]
    more = timelines.difference(layers["whole-rotary"], layers[timelines.AS_BUILT])
    assert more["Concat"]["microseconds"] == timelines.total(more)["microseconds"] == 4
    assert more["Softmax"] == dict.fromkeys(more["Softmax"], 0)


def test_the_table_names_what_takes_longer_without_a_rewrite() -> None:
    table = record_timelines.table(measured("whole-rotary", "pad-tokens", "halve-heads"))
    assert "| **as it is built** | 10.0 | Softmax 10.0 | 20 | 0 | 0 | 1 |" in table
    assert "| `whole-rotary` | +4.0 | Concat +4.0 | +4 | +0 | +0 | +0 |" in table
    assert "| `pad-tokens` | +0.0 |  | +0 | +0 | +0 | +0 |" in table
    assert "| (`halve-heads`) | +2.0 | Softmax +2.0 |" in table


def test_the_page_keeps_what_is_around_the_tables() -> None:
    page = f"before\n{record_timelines.START}\nold\n{record_timelines.END}\nafter\n"
    text = record_timelines.with_tables(page, ["new\n"])
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "new" in text and "old" not in text
