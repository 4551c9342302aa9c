from __future__ import annotations

from hashlib import sha256

import numpy as np

from scripts.checkpoint.synthetic import BLOCK, Synthetic
from tests import checkpoints

SHAPES = checkpoints.shapes()


def test_values_are_the_same_on_every_machine() -> None:
    values = Synthetic(7, SHAPES).read("layer.0.mlp.up_proj.weight")
    expected = "1c81146a6f27b05daad6d870d47347f7c0834ebb10464baebf3a20dda7680f87"
    assert sha256(values.tobytes()).hexdigest() == expected


def test_tensors_do_not_depend_on_the_order_of_reading() -> None:
    first, second = Synthetic(7, SHAPES), Synthetic(7, SHAPES)
    forth = {name: first.read(name) for name in first.names}
    back = {name: second.read(name) for name in reversed(second.names)}
    assert all((forth[name] == back[name]).all() for name in SHAPES)
    assert all(forth[name].shape == shape for name, shape in SHAPES.items())


def test_seeds_and_names_give_different_values() -> None:
    query, key = "layer.0.attention.q_proj.weight", "layer.0.attention.k_proj.weight"
    assert (Synthetic(0, SHAPES).read(query) != Synthetic(1, SHAPES).read(query)).any()
    assert (Synthetic(0, SHAPES).read(query) != Synthetic(0, SHAPES).read(key)).any()


def test_weights_are_a_bell_and_the_rest_is_as_hugging_face_starts_it() -> None:
    weights = Synthetic(0, SHAPES | {"big.weight": (800, 800)})
    bell = weights.read("big.weight")
    assert abs(bell.std() - 0.02) < 1e-4
    assert abs(bell.mean()) < 1e-4
    assert 0.06 < np.abs(bell).max() < 0.0693
    assert (weights.read("norm.weight") == 1).all()
    assert (weights.read("layer.0.layer_scale1.lambda1") == 1).all()
    assert (weights.read("layer.0.attention.q_proj.bias") == 0).all()
    assert (weights.read("embeddings.mask_token") == 0).all()


def test_no_two_rows_of_a_large_tensor_are_alike() -> None:
    rows = 3 * BLOCK // 1280
    values = Synthetic(0, {"big.weight": (rows, 1280)}).read("big.weight")
    assert len({row.tobytes() for row in values}) == rows
