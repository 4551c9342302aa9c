"""What the report shows of single pictures: features of a few, and the cosine of every patch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scripts import metrics
from scripts.metrics import Features

# The first held-out pictures, which are spread over the folder they come from.
PICTURES = 4


def save(
    path: Path,
    reference: Mapping[str, Features],
    built: Mapping[str, Features],
    grid: tuple[int, int],
) -> None:
    """Write `features.npz`, the same bytes for the same features.

    `reference` and `context` are float32 [pictures, rows, columns, hidden], the patches of the
    first pictures; `cosines` float32 [pictures, rows, columns], of all. They are of the first
    output that has patches; where none has, there are no pictures in them.

    Args:
        path: file to write.
        reference: float32's outputs by name, [pictures, ...] each.
        built: the context's, alike.
        grid: rows and columns of patches.
    """
    ours, theirs = (_patches(outputs, grid[0] * grid[1]) for outputs in (reference, built))
    cosines = metrics.cosine(ours, theirs)
    few = [features[:PICTURES].astype(np.float32) for features in (ours, theirs)]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        reference=few[0].reshape(len(few[0]), *grid, few[0].shape[-1]),
        context=few[1].reshape(len(few[1]), *grid, few[1].shape[-1]),
        cosines=cosines.astype(np.float32).reshape(len(cosines), *grid),
    )


def _patches(outputs: Mapping[str, Features], patches: int) -> Features:
    """Return the patches of the first output that has any, [pictures, patches, channels]."""
    for values in outputs.values():
        if values.ndim > 2:
            return metrics.vectors(values)[:, -patches:]
    return np.zeros((0, patches, 1), np.float32)
