from __future__ import annotations

import numpy as np
import pytest

from scripts.checkpoint import rope


def test_tables_are_those_of_a_hand_made_example() -> None:
    # Two patches side by side: y = 0, x = -1/2 and 1/2; one frequency of 1 each.
    cosines, sines = rope.tables(1, 2, 4, 100.0)
    assert np.allclose(cosines, [[1, -1, 1, -1], [1, -1, 1, -1]])
    assert np.allclose(sines, 0, atol=1e-7)
    assert rope.tables(1, 4, 4, 100.0)[1][0].tolist()[1] == pytest.approx(np.sin(-1.5 * np.pi))


@pytest.mark.torch
@pytest.mark.parametrize(("rows", "columns"), [(14, 14), (4, 6)])
def test_tables_are_those_of_transformers(rows: int, columns: int) -> None:
    import torch
    from transformers import DINOv3ViTConfig
    from transformers.models.dinov3_vit import modeling_dinov3_vit as reference

    module = reference.DINOv3ViTRopePositionEmbedding(DINOv3ViTConfig()).eval()
    expected = module(torch.zeros(1, 3, rows * 16, columns * 16))
    for table, values in zip(rope.tables(rows, columns, 64, 100.0), expected, strict=True):
        assert np.abs(table - values.numpy()).max() < 1e-5
