"""What the report shows of single pictures: features of a few, and the cosine of every patch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scripts import metrics
from scripts.metrics import Features

# The first held-out pictures, which are spread over the folder they come from.
PICTURES = 4


def save(path: Path, reference: Features, built: Features, grid: tuple[int, int]) -> None:
    """Write `features.npz`, the same bytes for the same features.

    `reference` and `context` are float16 [pictures, rows, columns, hidden], the patches of the
    first pictures; `cosines` float32 [pictures, rows, columns], of all.

    Args:
        path: file to write.
        reference: float32's features [pictures, tokens, hidden], the patches last.
        built: the context's, alike.
        grid: rows and columns of patches.
    """
    patches = grid[0] * grid[1]
    cosines = metrics.cosine(reference[:, -patches:], built[:, -patches:])
    few = [features[:PICTURES, -patches:].astype(np.float16) for features in (reference, built)]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        reference=few[0].reshape(len(few[0]), *grid, -1),
        context=few[1].reshape(len(few[1]), *grid, -1),
        cosines=cosines.astype(np.float32).reshape(len(cosines), *grid),
    )
