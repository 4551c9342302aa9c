"""The picture size in a checkpoint's own files."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import CheckpointError
from scripts.picture_size import PictureSize
from scripts.pipeline import declared_size
from scripts.pipeline.declared_size import DeclaredSize


def write(folder: Path, config: Any = None, processor: Any = None) -> DeclaredSize:
    for name, values in ((declared_size.CONFIG, config), (declared_size.PROCESSOR, processor)):
        if values is not None:
            (folder / name).write_text(json.dumps(values))
    return declared_size.read(folder)


@pytest.mark.parametrize(
    ("config", "processor", "size"),
    [
        (None, None, None),
        ({"image_size": 512}, None, (512, 512)),
        ({"image_size": [480, 640]}, {}, (480, 640)),
        ({"image_size": 224}, {"size": {"height": 512, "width": 256}}, (512, 256)),
        (None, {"size": {"shortest_edge": 384}}, (384, 384)),
        (None, {"size": 256, "crop_size": 224, "do_center_crop": True}, (224, 224)),
        (None, {"size": 256, "crop_size": 224, "do_center_crop": False}, (256, 256)),
        (None, {"size": 256, "crop_size": 224}, (256, 256)),
        ({"image_size": 224}, {"size": 512, "do_resize": False}, (224, 224)),
        (
            {"architecture": "vit", "pretrained_cfg": {"input_size": [3, 256, 320]}},
            None,
            (256, 320),
        ),
        ({"architecture": "vit", "pretrained_cfg": {}}, None, None),
    ],
)
def test_the_processor_counts_then_the_configuration(
    tmp_path: Path, config: Any, processor: Any, size: tuple[int, int] | None
) -> None:
    assert write(tmp_path, config, processor).size == (PictureSize(*size) if size else None)


def test_a_disagreement_is_said(tmp_path: Path) -> None:
    assert write(tmp_path, {"image_size": 224}, {"size": 224}).disagreement == ""
    says = write(tmp_path, {"image_size": 224}, {"size": 512}).disagreement
    assert "says 224" in says and "512: the latter counts" in says


@pytest.mark.parametrize("value", ["large", -1, 0, True, [1, 2, 3], {}, 224.0])
def test_what_is_no_size_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(CheckpointError, match="none"):
        write(tmp_path, {"image_size": value})


def test_a_size_of_timm_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="none"):
        write(tmp_path, {"pretrained_cfg": {"input_size": [3, 0, 224]}})


@pytest.mark.parametrize("size", [{"longest_edge": 32}, {"max_height": 32, "max_width": 64}])
def test_what_the_processor_says_instead_of_a_size_is_shown(
    tmp_path: Path, size: dict[str, int]
) -> None:
    with pytest.raises(CheckpointError) as refusal:
        write(tmp_path, processor={"size": size})
    assert json.dumps(size) in refusal.value.what
