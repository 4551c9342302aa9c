from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scripts.checkpoint.contents import Checkpoint
from scripts.errors import CheckpointError
from tests import checkpoints

SHAPES = checkpoints.shapes()


def test_every_tensor_is_read_as_it_was_written(tmp_path: Path) -> None:
    values = checkpoints.tensors()
    opened = Checkpoint(checkpoints.write(tmp_path, values), SHAPES)
    assert opened.names == sorted(values)
    assert all((opened.read(name) == value).all() for name, value in values.items())


def test_shards_give_the_same_tensors_as_one_file(tmp_path: Path) -> None:
    whole = Checkpoint(checkpoints.write(tmp_path / "whole"), SHAPES)
    sharded = Checkpoint(checkpoints.write(tmp_path / "sharded", shards=3), SHAPES)
    assert sharded.names == whole.names
    assert all((sharded.read(name) == whole.read(name)).all() for name in whole.names)


def test_names_of_newer_transformers_are_understood(tmp_path: Path) -> None:
    values = {
        f"model.{name}" if name.startswith("layer.") else name: value
        for name, value in checkpoints.tensors().items()
    }
    opened = Checkpoint(checkpoints.write(tmp_path, values), SHAPES)
    assert opened.names == sorted(SHAPES)


def test_mask_token_may_be_missing(tmp_path: Path) -> None:
    values = checkpoints.tensors()
    del values["embeddings.mask_token"]
    assert (
        "embeddings.mask_token" not in Checkpoint(checkpoints.write(tmp_path, values), SHAPES).names
    )


def _without(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = checkpoints.tensors()
        del values[name]
        checkpoints.write(folder, values)

    return damage


def _with(name: str, *shape: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        checkpoints.write(folder, checkpoints.tensors() | {name: np.zeros(shape, np.float32)})

    return damage


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _lfs_pointer(folder: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
    (folder / "model.safetensors").write_bytes(pointer)


def _lose_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    checkpoints.write(folder, shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()


def _lose_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _damage_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("{")


def _quantised(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"F32"', b'"I32"'))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_truncate, "model.safetensors has"),
        (_lfs_pointer, "LFS"),
        (_lose_shard, "model-00002-of-00003.safetensors"),
        (_lose_weights, "model.safetensors"),
        (_damage_index, "index.json cannot be read as JSON"),
        (_quantised, "I32"),
        (_without("layer.1.norm2.bias"), "layer.1.norm2.bias is missing"),
        (_with("layer.0.prompt.weight", 10, 32), "prompt.weight is not part"),
        (_with("norm.bias", 31), r"norm.bias is \[31\], not \[32\]"),
    ],
)
def test_damage_is_refused_by_name(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    folder = checkpoints.write(tmp_path)
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        Checkpoint(folder, SHAPES)
    assert caught.match(says)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["embeddings.patch_embeddings.weight", "norm.weight"])
def test_zeros_that_make_features_constant_are_refused(tmp_path: Path, name: str) -> None:
    values = checkpoints.tensors()
    values[name][:] = 0
    with pytest.raises(CheckpointError, match=f"model.safetensors: tensor {name} is all zeros"):
        Checkpoint(checkpoints.write(tmp_path, values), SHAPES)
