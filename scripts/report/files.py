"""Which files of a build a report is made of: all that the stage reads, and what its key holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts import artefacts
from scripts.catalog import Model, Precision, Target

# The board's libraries, as Qualcomm names them.
_BOARD = "aarch64-ubuntu-gcc9.4"


@dataclass(frozen=True)
class Names:
    """Which build a report is of."""

    model: Model
    precision: Precision
    target: Target


def paths(names: Names) -> dict[str, PurePosixPath]:
    """Return the files that a report is made of, below the folder of the build."""
    model, precision = names.model.name, names.precision
    files = {
        "verify": artefacts.verify_report(precision.name),
        "features": artefacts.features(precision.name),
        "profile": artefacts.profile_report(precision.name),
        "export": artefacts.with_suffix(artefacts.eager_onnx(model), ".json"),
        "rewrites": artefacts.rewrites(model, precision.name),
        "calibration": artefacts.image_set("calibration"),
        "heldout": artefacts.image_set("heldout"),
        "context": artefacts.context_binary(precision.name),
        "library": artefacts.model_library(model, precision.name, _BOARD),
    }
    if precision.weights == 16:
        return {**files, "ranges": artefacts.ranges(model, precision.name)}
    files["encodings"] = artefacts.encodings(model, precision.name)
    if precision.activations == 8:
        files["widths"] = artefacts.widths(model, precision.name)
    if precision.budgeted:
        files["frontier"] = artefacts.frontier(model, precision.name)
    return files
