import numpy as np
import pytest

from openqnn.quantization import clipping
from openqnn.quantization.observe import BINS, Histogram, Range
from scripts import catalog


def _histogram(values: np.ndarray) -> Histogram:
    low, high = float(values.min()), float(values.max())
    return Histogram(Range(low, high), np.histogram(values, BINS, (low, high))[0])


@pytest.fixture
def spiked() -> Histogram:
    """A million ordinary values and one far away."""
    values = np.random.default_rng(0).standard_normal(1_000_000)
    values[0] = 400.0
    return _histogram(values)


def test_min_max_keeps_the_range(spiked: Histogram) -> None:
    assert clipping.cut(spiked, "min-max", 8) == spiked.limits


@pytest.mark.parametrize("bits", [8, 16])
def test_percentile_leaves_a_lone_spike_out(spiked: Histogram, bits: int) -> None:
    limits = clipping.cut(spiked, "percentile", bits)
    assert 3 < limits.high < 6
    assert -6 < limits.low < -3


def test_least_error_clips_at_8_bits_what_16_bits_can_keep(spiked: Histogram) -> None:
    assert clipping.cut(spiked, "mse", 8).high < 200
    assert clipping.cut(spiked, "mse", 16).high > 300


@pytest.mark.parametrize("method", catalog.METHODS)
def test_a_constant_tensor_keeps_its_value(method: str) -> None:
    same = Histogram(Range(2.0, 2.0), np.zeros(BINS, np.int64))
    assert clipping.cut(same, method, 8) == Range(2.0, 2.0)
