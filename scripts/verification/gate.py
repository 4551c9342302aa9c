"""The gate: how close to float32 the features of a context must be for its build to succeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openqnn.progress import say
from scripts import catalog, outputs
from scripts.catalog import Precision
from scripts.errors import GateError
from scripts.metrics import DIGITS, Features
from scripts.words import counted


def apply(figures: Mapping[str, Mapping[str, float]], precision: Precision, *, skip: bool) -> None:
    """Compare the figures of every output with a precision's gate.

    Raises:
        GateError: one is below its bound, and the gate is not skipped.
    """
    missed = [
        f"{_label(output, name)} is {own[name]:.{DIGITS}f}, the gate is {bound}"
        for output, own in figures.items()
        for name, bound in precision.gate.items()
        if name in own and not own[name] >= bound
    ]
    if missed and skip:
        say(f"  WARNING: --no-gate: {'; '.join(missed)}. This build is NOT faithful to float32.")
    elif missed:
        names = " or ".join(entry.name for entry in catalog.more_exact(precision))
        raise GateError(
            f"The {precision.name} context is not faithful to float32: {'; '.join(missed)}.",
            cause="too few bits for the model's outliers, calibration pictures unlike the "
            "held-out ones, or inputs in another layout or colour order than the network's",
            remedy="`invoke diagnose` plots where it broke; more pictures of the real scene "
            f"(--images){f', --precision {names}' if names else ''}; --no-gate builds it anyway, "
            "and every manifest says so",
        )


def _label(output: str, figure: str) -> str:
    return figure if output == outputs.TOKENS else f"{figure} of {output}"


def require_finite(
    reference: Mapping[str, Features], built: Mapping[str, Features], sources: Sequence[str]
) -> None:
    """Refuse outputs that are not finite, with or without a gate.

    Raises:
        GateError: there is a NaN or an infinity.
    """
    for what, features in (("The float32 reference", reference), ("The context", built)):
        bad = [
            source
            for index, source in enumerate(sources)
            if not all(np.isfinite(values[index]).all() for values in features.values())
        ]
        if bad:
            raise GateError(
                f"{what} gives NaN or infinity for {counted(len(bad), 'picture')}, first {bad[0]}.",
                cause="an activation beyond the range of float16 (65504), or damaged weights",
                remedy="--precision w8a16 in place of fp16; check the weights with `invoke export`",
            )
