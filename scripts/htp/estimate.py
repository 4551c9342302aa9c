"""The compiler's own estimate of a graph's time and traffic on the device.

It is part of the compiler's profile. The time of the compilation itself is in the profile too, and
is left out: the same inputs give the same estimate.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.errors import ArtefactError, CompileError

# The profile's wording, as QAIRT 2.51 has it.
NAMES = {
    "microseconds": "Simulated (Accelerator exec time us)",
    "microseconds_low": "Simulated (Accelerator exec time us (lower estimate))",
    "microseconds_high": "Simulated (Accelerator exec time us (upper estimate))",
    "cycles": "Simulated (Accelerator exec cycles)",
    "input_fill_bytes": "Input Fill",
    "intermediate_fill_bytes": "Intermediate Fill",
    "intermediate_spill_bytes": "Intermediate Spill",
    "output_spill_bytes": "Output Spill",
}
# The estimate is beside the context binary.
SUFFIX = ".estimate.json"


@dataclass(frozen=True)
class Estimate:
    """Time of one inference in microseconds, HTP cycles, and bytes moved from and to DDR."""

    microseconds: int
    microseconds_low: int
    microseconds_high: int
    cycles: int
    input_fill_bytes: int
    intermediate_fill_bytes: int
    intermediate_spill_bytes: int
    output_spill_bytes: int

    @property
    def ddr_bytes(self) -> int:
        """Return all bytes read from and written to DDR."""
        return (
            self.input_fill_bytes
            + self.intermediate_fill_bytes
            + self.intermediate_spill_bytes
            + self.output_spill_bytes
        )


def save(estimate: Estimate | None, context: Path) -> None:
    """Write an estimate beside its context binary; `null` says that the compiler has none."""
    said = estimate and asdict(estimate)
    path_beside(context).write_text(json.dumps(said, indent=1) + "\n")


def load(context: Path) -> Estimate | None:
    """Return the estimate of a context binary, None where the compiler has none for its SoC.

    Raises:
        ArtefactError: the file beside the context is missing or damaged.
    """
    path = path_beside(context)
    try:
        said = json.loads(path.read_text())
        return said and Estimate(**said)
    except (OSError, ValueError, TypeError) as error:
        raise ArtefactError(
            f"{path} holds no estimate of {context.name}: {error}.",
            remedy="compile again: `invoke context`",
        ) from error


def read_profile(path: Path) -> Estimate | None:
    """Return the estimate in a compiler's profile, None where it has none for the SoC.

    Raises:
        CompileError: it lacks some of the figures.
    """
    with path.open(newline="") as file:
        values = {row["Event Identifier"]: row for row in csv.DictReader(file)}
    missing = [name for name in NAMES.values() if name not in values]
    if len(missing) == len(NAMES):
        return None
    if missing:
        raise CompileError(
            f"The compiler's profile lacks {missing[0]!r}.",
            cause="a profile that was cut short, or of a release that words it otherwise",
        )
    return Estimate(**{key: int(values[name]["Time"]) for key, name in NAMES.items()})


def required(estimate: Estimate | None) -> Estimate:
    """Return an estimate that there must be.

    Raises:
        CompileError: the compiler has none for the SoC.
    """
    if estimate is None:
        raise CompileError(
            "There is no estimate for this SoC: Qualcomm's compiler does not simulate its time.",
            remedy="say whose times count in the target's entry of targets.toml, as timed_by",
        )
    return estimate


def path_beside(context: Path) -> Path:
    """Return the path of a context binary's estimate."""
    return context.with_suffix(SUFFIX)
