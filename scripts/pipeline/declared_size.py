"""The picture size that a checkpoint's own files say it is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import json_object
from scripts.errors import CheckpointError
from scripts.picture_size import PictureSize

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"


@dataclass(frozen=True)
class DeclaredSize:
    """What the model's configuration and the image processor's say, None where they are silent."""

    config: PictureSize | None = None
    processor: PictureSize | None = None

    @property
    def size(self) -> PictureSize | None:
        """The size in force: pictures come to the network through the processor."""
        return self.processor or self.config

    @property
    def file(self) -> str:
        """The name of the file that says the size in force, nothing where none does."""
        if self.processor:
            return PROCESSOR
        return CONFIG if self.config else ""

    @property
    def origin(self) -> str:
        """The same in words."""
        return f"{self.file} says it" if self.file else ""

    @property
    def disagreement(self) -> str:
        """A sentence where the two files say different sizes, else nothing."""
        if not (self.config and self.processor) or self.config == self.processor:
            return ""
        return (
            f"{CONFIG} says {self.config} pixels, {PROCESSOR} {self.processor}: the latter counts"
        )


def read(directory: Path) -> DeclaredSize:
    """Return the sizes that a checkpoint's files say.

    Raises:
        CheckpointError: a file is not JSON, or says something that is no size.
    """
    config, processor = (json_object.read(directory / name) for name in (CONFIG, PROCESSOR))
    # Without the step, a processor passes over the crop's size.
    box = processor.get("crop_size") if processor.get("do_center_crop") else None
    box = box or processor.get("size")
    if not processor.get("do_resize", True):
        box = None
    return DeclaredSize(_size(_side(config), directory / CONFIG), _size(box, directory / PROCESSOR))


def _side(config: dict[str, Any]) -> Any:
    """Return what a configuration of transformers or of timm says; timm's begins with channels."""
    timms = config.get("pretrained_cfg")
    shape = timms.get("input_size") if isinstance(timms, dict) else None
    sides = shape[1:] if isinstance(shape, list) and len(shape) == 3 else shape
    return config.get("image_size", sides)


def _size(value: Any, file: Path) -> PictureSize | None:
    """Return what a side, `[height, width]`, or a dictionary of sides stands for."""
    if value is None:
        return None
    sides = value
    if isinstance(value, dict):
        sides = [value[key] for key in ("height", "width") if key in value]
        sides = sides or value.get("shortest_edge")
    sides = sides if isinstance(sides, list) else [sides, sides]
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise CheckpointError(
            f"{file} says a picture size that is none: {json.dumps(value)[:80]}.",
            remedy='mend the file: a number of pixels, or {"height": 224, "width": 224}',
        )
    return PictureSize(*sides)
