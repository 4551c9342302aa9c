from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.errors import CheckpointError
from scripts.picture_size import PictureSize
from scripts.pictures import decoding, preprocess
from scripts.pictures.decoding import Raster
from scripts.pictures.preprocess import Preprocessing

SIZES = [(37, 53, 16), (9, 5, 16), (16, 16, 16), (300, 100, 32), (30, 31, 64)]

TINY, SMALL, DIGIT, USUAL = map(PictureSize.square, (8, 16, 32, 224))


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_pixels_are_those_of_the_hugging_face_processor() -> None:
    # Written by transformers 5.23's DINOv3ViTImageProcessor (torchvision 0.28) at 16 x 16.
    golden = np.load(Path(__file__).parent / "processor.npz")
    pixels = preprocess.to_pixels(Image.fromarray(golden["picture"]), Preprocessing(SMALL))
    assert np.abs(pixels - golden["pixel_values"]).max() < 1e-5


@pytest.mark.torch
@pytest.mark.parametrize(("height", "width", "size"), SIZES)
def test_every_size_is_resized_as_the_processor_does(height: int, width: int, size: int) -> None:
    from transformers import DINOv3ViTImageProcessor

    picture = Image.fromarray(noise(height, width))
    processor = DINOv3ViTImageProcessor(size={"height": size, "width": size})
    expected = processor(picture, return_tensors="np")["pixel_values"][0]
    pixels = preprocess.to_pixels(picture, Preprocessing(PictureSize.square(size)))
    assert np.abs(pixels - expected).max() < 5e-5


@pytest.mark.torch
def test_files_are_read_as_transformers_reads_them(tmp_path: Path) -> None:
    from transformers.image_utils import load_image

    exif = Image.Exif()
    exif[0x112] = 8
    picture = Image.fromarray(noise(20, 40, 4))
    picture.convert("RGB").save(tmp_path / "turned.jpg", exif=exif)
    picture.save(tmp_path / "transparent.png")
    how = Preprocessing(SMALL)
    for file in tmp_path.iterdir():
        raster, turned = decoding.decoded(file), np.asarray(load_image(str(file)))
        expected = preprocess.to_pixels(Image.fromarray(turned), how)
        assert np.array_equal(
            preprocess.normalised(preprocess.resized(raster, SMALL), how), expected
        )


def test_one_colour_stays_one_colour_in_rgb_order() -> None:
    picture = Image.new("RGB", (50, 20), (255, 0, 51))
    pixels = preprocess.to_pixels(picture, Preprocessing(TINY, (0.5, 0.5, 0.2), (0.5, 0.25, 0.1)))
    assert pixels.shape == (3, 8, 8)
    assert pixels.dtype == np.float32
    assert np.allclose(pixels.reshape(3, -1), [[1.0], [-2.0], [0.0]], atol=1e-6)


def test_resizing_8_bit_pixels_would_not_be_the_same() -> None:
    picture, how = Image.fromarray(noise(37, 53)), Preprocessing(SMALL)
    early = picture.resize((16, 16), Image.Resampling.BILINEAR)
    difference = preprocess.to_pixels(picture, how) - preprocess.to_pixels(early, how)
    assert np.abs(difference).max() > 1e-3


def test_mean_and_std_come_from_the_checkpoint(tmp_path: Path) -> None:
    # The SAT-493M weights' values.
    mean, std = [0.430, 0.411, 0.296], [0.213, 0.156, 0.143]
    config = {"image_mean": mean, "image_std": std, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    settings = preprocess.settings(USUAL, tmp_path)
    assert settings == Preprocessing(USUAL, (0.430, 0.411, 0.296), (0.213, 0.156, 0.143))


def test_without_a_processor_config_imagenet_s_are_used(tmp_path: Path) -> None:
    assert (
        preprocess.settings(DIGIT, tmp_path)
        == preprocess.settings(DIGIT, None)
        == Preprocessing(DIGIT)
    )


def test_mean_and_std_come_from_timm_s_configuration(tmp_path: Path) -> None:
    own = {"mean": [0.430, 0.411, 0.296], "std": [0.213, 0.156, 0.143], "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": own}))
    taken = preprocess.settings(PictureSize.square(32), tmp_path)
    assert (list(taken.mean), list(taken.std)) == (own["mean"], own["std"])
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": {"mean": own["mean"]}}))
    with pytest.raises(CheckpointError, match="does not say mean"):
        preprocess.settings(PictureSize.square(32), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"image_mean": [0.5, 0.5, 0.5]}',
        '{"image_mean": [0.5], "image_std": [0.5]}',
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.0]}',
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 3}',
    ],
)
def test_a_processor_config_that_cannot_be_followed_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointError, match="preprocessor_config"):
        preprocess.settings(USUAL, tmp_path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("do_center_crop", True),
        ("do_resize", False),
        ("do_rescale", False),
        ("rescale_factor", 1 / 127.5),
        ("resample", 3),
        ("do_pad", True),
        ("do_grayscale", True),
        ("do_flip_channel_order", True),
        ("do_thumbnail", True),
        ("size", {"shortest_edge": 32}),
        ("size", {"shortest_edge": 32, "longest_edge": 64}),
    ],
)
def test_what_a_processor_asks_for_and_is_not_done_is_refused_by_name(
    tmp_path: Path, entry: str, value: object
) -> None:
    config = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, entry: value}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"asks for {entry}"):
        preprocess.settings(USUAL, tmp_path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("crop_pct", 0.875), ("crop_mode", "border"), ("input_size", [1, 256, 256])],
)
@pytest.mark.parametrize("colours", [{}, {"mean": [0.5] * 3, "std": [0.5] * 3}])
def test_what_timm_asks_for_and_is_not_done_is_refused_by_name(
    tmp_path: Path, entry: str, value: object, colours: dict[str, object]
) -> None:
    config = {"architecture": "vit", "pretrained_cfg": {**colours, entry: value}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"asks for {entry}"):
        preprocess.settings(USUAL, tmp_path)


def test_what_is_published_of_dinov3_is_followed(tmp_path: Path) -> None:
    colours: dict[str, Any] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    timm = {**colours, "input_size": [3, 256, 256], "crop_pct": 1.0, "crop_mode": "center"}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": timm}))
    assert preprocess.settings(USUAL, tmp_path) == Preprocessing(USUAL)
    processor = {f"image_{key}": value for key, value in colours.items()}
    processor |= dict.fromkeys(("do_normalize", "do_rescale", "do_resize"), True)
    processor |= dict.fromkeys(("crop_size", "do_center_crop", "do_convert_rgb", "device"))
    processor |= {"default_to_square": True, "resample": 2, "rescale_factor": 1 / 255}
    processor |= {"size": {"height": 224, "width": 224}, "data_format": "channels_first"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    assert preprocess.settings(USUAL, tmp_path) == Preprocessing(USUAL)


def test_a_processor_that_does_not_normalise_is_followed(tmp_path: Path) -> None:
    config = {"do_normalize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    how = preprocess.settings(TINY, tmp_path)
    pixels = preprocess.to_pixels(Image.new("RGB", (8, 8), (255, 0, 51)), how)
    assert np.allclose(pixels[:, 0, 0], [1.0, 0.0, 0.2])


COLOURS = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize("key", ["do_pad", "do_center_crop", "do_convert_rgb", "device"])
def test_a_step_that_is_null_is_not_taken(tmp_path: Path, key: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**COLOURS, key: None}))
    assert preprocess.settings(USUAL, tmp_path) == Preprocessing(USUAL, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("key", preprocess.NEVER_NULL)
def test_a_null_that_versions_of_transformers_read_differently_is_refused(
    tmp_path: Path, key: str
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**COLOURS, key: None}))
    with pytest.raises(CheckpointError, match=rf"preprocessor_config\.json: {key} is null"):
        preprocess.settings(USUAL, tmp_path)


@pytest.mark.torch
@pytest.mark.parametrize("key", preprocess.NEVER_NULL)
def test_transformers_takes_none_of_these_nulls_as_the_usual_value(key: str) -> None:
    from transformers import DINOv3ViTImageProcessor

    picture = Image.fromarray(noise(20, 30))

    def pixels(**config: object) -> Any:
        usual = {**COLOURS, "size": {"height": 16, "width": 16}, **config}
        return DINOv3ViTImageProcessor.from_dict(usual)(picture, return_tensors="np").pixel_values

    try:
        differs = not np.array_equal(pixels(**{key: None}), pixels())
    except (TypeError, ValueError):
        differs = True
    assert differs


def test_bytes_of_a_picture_that_needs_no_resizing_are_its_own() -> None:
    pixels = noise(16, 16)
    values = preprocess.resized(Raster(Image.fromarray(pixels)), SMALL)
    assert np.array_equal(preprocess.as_bytes(values), pixels)


def test_resized_bytes_are_within_half_a_step_of_what_is_normalised() -> None:
    values = preprocess.resized(Raster(Image.fromarray(noise(37, 53))), SMALL)
    pixels = preprocess.as_bytes(values).transpose(2, 0, 1) / 255
    assert np.abs(pixels - values).max() <= 0.5 / 255
