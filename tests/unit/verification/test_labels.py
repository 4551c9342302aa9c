from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts import outputs
from scripts.pictures.image_set import HeldOut
from scripts.verification import labels
from tests import checkpoints

CLASSES, HIDDEN = 3, 4
# CLS of each picture points along the axis of its class.
RIGHT = [0, 1, 2, 1, 0]
CLS = np.eye(HIDDEN, dtype=np.float32)[RIGHT]


def held_out(folders: list[str | None]) -> HeldOut:
    images = [{"source": f"{number}.png", "label": name} for number, name in enumerate(folders)]
    return HeldOut(Path(), {"images": images})


def logits(answers: list[int]) -> NDArray[np.float32]:
    return np.eye(CLASSES, dtype=np.float32)[answers]


LABELLED = held_out([str(label) for label in RIGHT])


def test_the_accuracy_is_that_of_the_network_s_own_logits() -> None:
    """Its features would answer every picture right."""
    reference = {outputs.CLS: CLS, outputs.HEAD: logits(RIGHT)}
    built = {outputs.CLS: CLS, outputs.HEAD: logits([0, 1, 2, 2, 2])}
    report = labels.judged(reference, built, LABELLED, None)
    assert report["accuracy"] == {"reference": 1.0, "context": 0.6}


@pytest.mark.parametrize("prefix", ["", "classifier."])
def test_a_head_beside_the_weights_answers_where_the_network_has_none(
    tmp_path: Path, prefix: str
) -> None:
    head = tmp_path / "head.safetensors"
    tensors = {f"{prefix}weight": np.eye(CLASSES, HIDDEN, dtype=np.float32)}
    checkpoints.write_safetensors(head, tensors)
    built = CLS[[0, 1, 2, 3, 1]]
    report = labels.judged({outputs.CLS: CLS}, {outputs.CLS: built}, LABELLED, head)
    assert report["accuracy"] == {"reference": 1.0, "context": 0.8}


@pytest.mark.parametrize("folders", [["cat", "dog", "cat", "dog", "cat"], [None] * 5])
def test_folders_that_are_no_classes_give_no_accuracy(
    capsys: pytest.CaptureFixture[str], folders: list[str | None]
) -> None:
    both = {outputs.CLS: CLS, outputs.HEAD: logits(RIGHT)}
    assert "accuracy" not in labels.judged(both, both, held_out(folders), None)
    assert "no accuracy: the pictures do not lie in folders named 0 to 2" in capsys.readouterr().out
