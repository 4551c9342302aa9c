"""Where to cut a range off: minimum and maximum, percentiles, or the least squared error."""

from __future__ import annotations

import numpy as np

from openqnn.quantization.observe import Histogram, Range

MIN_MAX, PERCENTILE, MSE = METHODS = ("min-max", "percentile", "mse")
PERCENT = 99.99
# The fractions of the range that `mse` tries.
FRACTIONS = np.linspace(1.0, 0.2, 41)


def percentile(histogram: Histogram, percent: float = PERCENT) -> Range:
    """Return the range that leaves out the rarest values at both ends."""
    total = np.cumsum(histogram.counts)
    if not total[-1]:
        return histogram.limits
    cut = total[-1] * (1 - percent / 100)
    edges = histogram.edges
    first = int(np.searchsorted(total, cut, side="right"))
    last = int(np.searchsorted(total, total[-1] - cut, side="left"))
    return Range(float(edges[first]), float(edges[last + 1]))


def least_error(histogram: Histogram, bits: int) -> Range:
    """Return the fraction of the range with the least squared error of rounding and clipping."""
    limits, edges = histogram.limits, histogram.edges
    if not histogram.counts.any():
        return limits
    centres = (edges[:-1] + edges[1:]) / 2
    costs = []
    for fraction in FRACTIONS:
        low, high = min(limits.low * fraction, 0.0), max(limits.high * fraction, 0.0)
        rounding = ((high - low) / (2**bits - 1)) ** 2 / 12
        clipped = centres - np.clip(centres, low, high)
        costs.append(float((histogram.counts * (clipped**2 + rounding)).sum()))
    best = float(FRACTIONS[int(np.argmin(costs))])
    return Range(limits.low * best, limits.high * best)


def cut(histogram: Histogram, method: str, bits: int) -> Range:
    """Return the range that a method chooses."""
    return {
        MIN_MAX: lambda: histogram.limits,
        PERCENTILE: lambda: percentile(histogram),
        MSE: lambda: least_error(histogram, bits),
    }[method]()
