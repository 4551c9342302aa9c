from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import catalog

pytestmark = pytest.mark.torch

DIGITS = Path(catalog.__file__).parent / "digits"


@pytest.fixture(scope="module")
def trained() -> Any:
    from safetensors.torch import load_file
    from transformers import DINOv3ViTModel

    from scripts.checkpoint import train_digits

    model = train_digits.Classifier()
    model.backbone = DINOv3ViTModel.from_pretrained(DIGITS)
    model.head.load_state_dict(load_file(DIGITS / "head.safetensors"))
    return model.eval()


@pytest.fixture(scope="module")
def held_out() -> Any:
    from scripts.checkpoint import train_digits

    return train_digits.load_split(held_out=True)


def test_the_committed_weights_are_as_accurate_as_recorded(trained: Any, held_out: Any) -> None:
    from scripts.checkpoint import train_digits

    recorded = json.loads((DIGITS / "training.json").read_text())
    assert len(held_out.labels) == recorded["held_out_pictures"] == 360
    assert recorded["held_out_accuracy"] >= train_digits.LEAST_ACCURACY
    reached = train_digits.accuracy(trained, held_out)
    assert reached == pytest.approx(recorded["held_out_accuracy"], abs=1 / 360)


def test_the_committed_weights_are_small_enough_to_commit() -> None:
    assert sum(file.stat().st_size for file in DIGITS.glob("*.safetensors")) <= 2_000_000


def test_swapped_colours_change_the_features_beyond_doubt(trained: Any, held_out: Any) -> None:
    import torch

    from scripts.checkpoint.train_digits import IMAGE

    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGE.mean, IMAGE.std))
    swapped = ((held_out.pixels * std + mean).flip(1) - mean) / std
    with torch.no_grad():
        right, wrong = (
            trained.backbone(pixels.float()).last_hidden_state[:, 0]
            for pixels in (held_out.pixels, swapped)
        )
    cosine = torch.nn.functional.cosine_similarity(right, wrong)
    assert cosine.mean() < 0.5
    assert cosine.max() < 0.95


def test_training_learns_and_repeats() -> None:
    import torch

    from scripts.checkpoint import train_digits

    torch.set_num_threads(1)
    some = train_digits.load_split(held_out=False)
    pictures = train_digits.Pictures(some.pixels[:64], some.labels[:64])
    recipe = train_digits.Recipe(epochs=25, batch=32, turn=0, zoom=0, shift=0)
    first, second = (train_digits.train(pictures, recipe).state_dict() for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)
    model = train_digits.Classifier()
    model.load_state_dict(first)
    assert train_digits.accuracy(model.eval(), pictures) > 0.4
