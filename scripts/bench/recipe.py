"""The steps of the plain recipe, for those who follow it (`peer`) and those who start it."""

from __future__ import annotations

from scripts.catalog import Precision

STEPS = ("export", "quantize", "context")
FLOAT_BITS = 16


def steps(precision: Precision) -> list[str]:
    """Return the steps to a precision: float16 is not quantised."""
    return [step for step in STEPS if (step, precision.weights) != ("quantize", FLOAT_BITS)]
