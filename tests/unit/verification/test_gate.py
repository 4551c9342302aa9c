"""The gate; swaps of layout and colour through the real simulator are in `test_compiler`."""

import numpy as np
import pytest

from scripts import catalog
from scripts.errors import GateError
from scripts.outputs import TOKENS
from scripts.verification import gate

INT8 = catalog.precisions()["int8"]
GOOD = {"cls_mean": 0.999, "cls_p1": 0.99, "patch_mean": 0.99}


def test_good_figures_pass() -> None:
    gate.apply({TOKENS: GOOD}, INT8, skip=False)


@pytest.mark.parametrize("figure", GOOD)
@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_each_figure_is_held_against_its_bound(figure: str, value: float) -> None:
    with pytest.raises(GateError, match=f"{figure} is .*the gate is {INT8.gate[figure]}"):
        gate.apply({TOKENS: {**GOOD, figure: value}}, INT8, skip=False)


def test_a_missed_gate_names_the_precisions_that_are_more_exact() -> None:
    expected = {"int8": "--precision w8a16 or fp16; ", "w8a16": "--precision fp16; ", "fp16": ""}
    for name, words in expected.items():
        precision = catalog.precisions()[name]
        with pytest.raises(GateError) as missed:
            gate.apply({TOKENS: {**GOOD, "cls_mean": 0.5}}, precision, skip=False)
        assert words in missed.value.remedy
        assert "--precision" in missed.value.remedy or not words
        assert f"--precision {name}" not in missed.value.remedy


def test_each_output_is_judged_by_the_figures_that_it_has() -> None:
    head = {"cls_mean": 0.999, "cls_p1": 0.99}
    gate.apply({TOKENS: GOOD, "head": head}, INT8, skip=False)
    with pytest.raises(GateError, match=r"faithful to float32: cls_p1 of head is 0\.5"):
        gate.apply({TOKENS: GOOD, "head": {**head, "cls_p1": 0.5}}, INT8, skip=False)


def test_no_gate_is_loud(capsys: pytest.CaptureFixture[str]) -> None:
    gate.apply({TOKENS: {**GOOD, "cls_mean": 0.5}}, INT8, skip=True)
    assert "WARNING: --no-gate" in capsys.readouterr().out


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("who", ["reference", "context"])
def test_a_single_non_finite_value_fails(value: float, who: str) -> None:
    clean, dirty = np.ones((2, 3, 4), np.float32), np.ones((2, 3, 4), np.float32)
    dirty[1, 2, 3] = value
    ours, theirs = (dirty, clean) if who == "reference" else (clean, dirty)
    with pytest.raises(GateError, match=r"NaN or infinity for 1 picture, first b\.png"):
        gate.require_finite({TOKENS: ours}, {TOKENS: theirs}, ["a.png", "b.png"])
