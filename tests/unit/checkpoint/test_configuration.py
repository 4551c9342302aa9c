from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import catalog
from scripts.checkpoint.configuration import read_config
from scripts.checkpoint.contents import Checkpoint
from scripts.errors import CheckpointError
from tests import checkpoints


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path, config=checkpoints.CONFIG | {"model_type": "dinov2"})
    with pytest.raises(CheckpointError, match="dinov2"):
        read_config(folder)


@pytest.mark.parametrize("text", ["{}", '{"patch_size": 16}', '{"model_type": null}'])
def test_a_config_without_a_model_type_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json has no model_type\."):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"dinov3_vit"'])
def test_a_damaged_config_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_config(tmp_path)


def test_the_config_in_the_catalog_is_of_the_digits_weights() -> None:
    digits = Path(catalog.__file__).parent / "digits"
    config = read_config(digits)
    opened = Checkpoint(digits, checkpoints.shapes(config))
    assert len(opened.names) == len(checkpoints.shapes(config))
    assert json.loads((digits / "training.json").read_text())["held_out_accuracy"] >= 0.98
