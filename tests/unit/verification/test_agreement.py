"""Two engines whose outputs are made up; the real ones are held together in `htp/test_provider`."""

import numpy as np
import pytest

from scripts import catalog
from scripts.errors import GateError
from scripts.verification import agreement
from scripts.verification.evidence import Evidence

INT8 = catalog.precisions()["int8"]
EXACT = np.random.default_rng(0).standard_normal((6, 21, 64)).astype(np.float32)


def noisy(amplitude: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(EXACT.shape)
    return (EXACT + amplitude * noise).astype(np.float32)


def evidence(integers: np.ndarray | None, simulated: np.ndarray) -> Evidence:
    outputs = {} if integers is None else {"x": integers}
    return Evidence({"x": EXACT}, {}, {"x": simulated[:2]}, outputs)


@pytest.mark.parametrize("amplitude", [0.0, 0.05, 0.1])
def test_noise_of_the_same_size_is_agreement(amplitude: float) -> None:
    both = evidence(noisy(amplitude, 1), noisy(amplitude, 2))
    report = agreement.judged(both, INT8, 16)
    assert report["x"]["pictures"] == 2
    agreement.require(report, skip=False)


@pytest.mark.parametrize("amplitude", [0.4, 2.0, float("nan")])
def test_more_noise_than_the_integers_have_is_none(amplitude: float) -> None:
    report = agreement.judged(evidence(noisy(0.05, 1), noisy(amplitude, 2)), INT8, 16)
    with pytest.raises(GateError, match="integer network disagree: cls_mean of x is"):
        agreement.require(report, skip=False)


def test_without_the_gate_a_disagreement_is_loud(capsys: pytest.CaptureFixture[str]) -> None:
    report = agreement.judged(evidence(noisy(0.05, 1), noisy(2.0, 2)), INT8, 16)
    agreement.require(report, skip=True)
    assert "WARNING: --no-gate: simulator and integer network disagree" in capsys.readouterr().out


def test_one_engine_alone_has_nothing_to_agree_with() -> None:
    assert agreement.judged(evidence(None, EXACT), INT8, 16) == {}


def test_a_picture_is_judged_by_the_simulator_where_it_ran() -> None:
    integers, simulated = noisy(0.1, 1), noisy(0.1, 2)
    built = evidence(integers, simulated).built["x"]
    assert np.array_equal(built, np.concatenate([simulated[:2], integers[2:]]))
    assert np.array_equal(evidence(None, simulated).built["x"], simulated[:2])
