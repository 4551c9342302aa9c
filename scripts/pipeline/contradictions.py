"""Options of a build that do not go together: refused in words, before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts import aimet_encodings, catalog
from scripts.catalog import Precision
from scripts.errors import UsageError
from scripts.pipeline.build_options import BuildOptions


def require_none(build: BuildOptions) -> None:
    """Refuse options that contradict each other, and a file of encodings that is none.

    Raises:
        UsageError: names them, and which to leave out.
    """
    _require_budget(build)
    if "method" in unused(build.precision) and build.method != catalog.MIN_MAX:
        raise UsageError(
            f"Precision {build.precision.name} has no ranges to calibrate: leave --method out."
        )
    _require_free_encodings(build)
    if build.cache_write and not build.cache:
        raise UsageError("--cache-write needs a cache: give --cache, or set DINOV3_QNN_CACHE.")


def unused(precision: Precision) -> frozenset[str]:
    """Return the options that a precision has no use for; a request refuses them."""
    uses = {
        "max_ms": precision.budgeted,
        "min_cosine": precision.budgeted,
        "method": precision.weights < 16,
        "widths": precision.activations == 8,
        "encodings": precision.weights == 8 and not precision.budgeted,
    }
    return frozenset(name for name, is_used in uses.items() if not is_used)


def require_one_precision(texts: Mapping[str, Any]) -> None:
    """Refuse several precisions for a command that takes one.

    Raises:
        UsageError: there are several.
    """
    if "," in str(texts.get("precision", "")):
        raise UsageError(
            f"--precision {texts['precision']}: this command takes one.",
            remedy="`invoke build` and its stages take several, and `invoke doctor`",
        )


def _require_budget(build: BuildOptions) -> None:
    name, budget = build.precision.name, build.max_ms or build.min_cosine
    if build.precision.budgeted and not budget:
        raise UsageError(
            f"Precision {name} needs a budget.",
            remedy="--min-cosine 0.995 for the fastest that is so exact, or --max-ms 25 for the "
            "most exact that is so fast",
        )
    if build.max_ms and build.target.timed_by:
        raise UsageError(
            f"There is no estimate for {build.target.name}: no network can be held to --max-ms.",
            remedy="give --min-cosine, or --max-ms with another --target",
        )
    if not build.precision.budgeted and budget:
        raise UsageError(f"Precision {name} takes no budget.", remedy="choose --precision mixed")
    if build.widths and "widths" in unused(build.precision):
        raise UsageError(
            f"Precision {name} has no widths to choose.",
            remedy="leave --widths out, or choose --precision int8",
        )


def _require_free_encodings(build: BuildOptions) -> None:
    """Refuse a file of encodings that is none, and what would choose what it says."""
    name = build.precision.name
    if not build.encodings:
        return
    if "encodings" in unused(build.precision):
        raise UsageError(
            f"Precision {name} takes no --encodings.", remedy="choose --precision int8 or w8a16"
        )
    others = {"--widths": build.widths, "--method": build.method != catalog.MIN_MAX}
    if both := [name for name, is_set in others.items() if is_set]:
        raise UsageError(f"--encodings says what {both[0]} chooses: give one of them.")
    aimet_encodings.read(build.encodings)
