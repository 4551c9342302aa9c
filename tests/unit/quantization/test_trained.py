"""The trainer of the stand-in `trained`, on a tiny network, and what it says of outliers."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.networks import standins

pytestmark = pytest.mark.torch

TINY = replace(
    standins.model("trained"),
    image_size=32,
    hidden_size=32,
    heads=2,
    layers=2,
    intermediate_size=48,
)


PARAMETERS = {"gains of norms", "LayerScale"}


@pytest.fixture(scope="module")
def pictures() -> Any:
    from scripts.checkpoint import train_digits

    digits = train_digits.load_split(held_out=False)
    return train_digits.Pictures(digits.pixels[:64], digits.labels[:64])


def test_training_lowers_the_loss_and_gives_the_same_bytes_twice(pictures: Any) -> None:
    from safetensors.torch import save

    from tests.networks import train

    recipe = train.Recipe(steps=60, shift=2)
    weights = []
    for _ in range(2):
        classifier = train.untrained(TINY, recipe.seed)
        losses = train.train(classifier, pictures, recipe)
        weights.append(save(classifier.state_dict()))
    assert weights[0] == weights[1]
    assert mean(losses[-10:]) < 0.8 * mean(losses[:10])
    assert save(train.untrained(TINY, 1).state_dict()) != save(
        train.untrained(TINY, recipe.seed).state_dict()
    )


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        ("layer.1.norm1.weight", "gains of norms"),
        ("layer.1.layer_scale2.lambda1", "LayerScale"),
        ("layer.1.mlp.up_proj.bias", "up-projections, channels"),
        ("layer.1.mlp.down_proj.bias", "stream, channels"),
        ("register_tokens", "stream, tokens"),
    ],
)
def test_an_outlier_shows_in_its_kind(pictures: Any, parameter: str, kind: str) -> None:
    import torch

    from tests.networks import train

    classifier = train.untrained(TINY, 0)
    before = train.spreads(classifier, pictures.pixels[:4])
    (values,) = (value for name, value in classifier.named_parameters() if name.endswith(parameter))
    with torch.no_grad():
        values.view(-1)[-3] = 1e5
    after = train.spreads(classifier, pictures.pixels[:4])
    ratio = {name: after[name]["max / median"] / before[name]["max / median"] for name in after}
    assert ratio.pop(kind) > 10
    assert all(ratio[name] == 1 for name in PARAMETERS - {kind} if name in ratio)


def test_a_network_whose_weights_are_not_there_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.networks import measure, train

    calls: list[Path] = []

    def trained(arguments: Namespace) -> None:
        calls.append(arguments.out)
        arguments.out.mkdir()
        (arguments.out / train.REPORT).write_text("{}")

    monkeypatch.setattr(train, "main", trained)
    standin = standins.STANDINS["trained"]
    folder = tmp_path / standins.LEARNED
    assert [measure.weights(tmp_path, standin) for _ in range(2)] == [str(folder)] * 2
    assert calls == [folder]
    assert measure.weights(tmp_path, standins.STANDINS["G"]) == "random:5"
