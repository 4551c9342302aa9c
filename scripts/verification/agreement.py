"""Two engines on the same pictures: the HTP simulator, and the integer network on the CPU.

Both quantise alike, but a sum that one rounds up and the other down moves a token: in 8 bits they
differ by as much as either differs from float32. More than that is no rounding: then the context is
not the network that was quantised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openqnn.progress import say
from scripts import metrics
from scripts.catalog import Precision
from scripts.errors import GateError
from scripts.verification.evidence import Evidence

# Twice the amplitude of the integer network's own noise: its loss, 1 - cosine, times four.
NOISE = 4.0
# What the engines may differ by in any case, as a share of the loss that the gate allows.
SHARE = 0.25


def judged(evidence: Evidence, precision: Precision, patches: int) -> dict[str, Any]:
    """Return how alike two engines' outputs for the same pictures are, and how alike they must be.

    Nothing where there is one engine.
    """
    report: dict[str, Any] = {}
    if not evidence.integers:
        return report
    for output, values in evidence.simulated.items():
        count = len(values)
        integers = evidence.integers[output][:count]
        noise = metrics.figures(evidence.reference[output][:count], integers, patches)
        figures = metrics.figures(integers, values, patches)
        bounds = {
            name: 1 - max(NOISE * (1 - noise[name]), SHARE * (1 - bound))
            for name, bound in precision.gate.items()
            if name in figures and name.endswith("_mean")
        }
        report[output] = {"pictures": count, "figures": figures, "at_least": bounds}
    return report


def require(report: Mapping[str, Any], *, skip: bool) -> None:
    """Hold two engines to agree.

    Raises:
        GateError: they do not, and the gate is not skipped.
    """
    missed = [
        f"{name} of {output} is {own['figures'][name]:.6f}, at least {bound:.6f} is rounding"
        for output, own in report.items()
        for name, bound in own["at_least"].items()
        if not own["figures"][name] >= bound
    ]
    if missed and skip:
        say(f"  WARNING: --no-gate: simulator and integer network disagree: {'; '.join(missed)}.")
    elif missed:
        raise GateError(
            f"The HTP simulator and the integer network disagree: {'; '.join(missed)}.",
            cause="a context compiled from other files than those that were quantised, or a fault "
            "of the compiler",
            remedy="remove final_binary and libs from the build folder and build again; if it "
            "stays, tell us",
        )
