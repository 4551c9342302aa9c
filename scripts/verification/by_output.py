"""What is said of each output of a network, and of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts import artefacts, metrics, outputs
from scripts.verification.features import ByOutput


def figures(reference: ByOutput, built: ByOutput, patches: int) -> dict[str, dict[str, float]]:
    """Return the figures of every output."""
    return {
        name: metrics.figures(reference[name], values, patches) for name, values in built.items()
    }


def by_picture(
    reference: ByOutput, built: ByOutput, sources: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the cosine of CLS, or else the mean of the patches', for every picture."""
    name = next(filter(outputs.has_cls, built), "")
    first = name or next(iter(built))
    cosines = metrics.cosine(*(metrics.vectors(side[first]) for side in (reference, built)))
    own = cosines[:, 0] if name else cosines.mean(axis=1)
    what = "cls_by_picture" if name else "patch_by_picture"
    return {what: dict(zip(sources, own.tolist(), strict=True))}


def save_golden(out: Path, precision: str, built: ByOutput) -> None:
    """Write the outputs for the first picture, which boards repeat, raw float32."""
    golden = artefacts.golden_outputs(precision, [*built])
    for path, values in zip(golden, built.values(), strict=True):
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_bytes(values[0].astype("<f4").tobytes())
