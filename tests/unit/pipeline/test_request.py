from pathlib import Path

import pytest

from scripts.errors import (
    ArtefactError,
    CalibrationError,
    CheckpointError,
    PipelineError,
    SdkError,
    UsageError,
)
from scripts.pipeline import request
from scripts.pipeline.request import Request


def make(**texts: str | float) -> Request:
    return request.make(**{"model": "vits16", **texts})


def test_defaults() -> None:
    assert make().from_hub
    assert make(model="digits").weights_directory == request.BUILTIN_WEIGHTS
    assert make(weights="random").synthetic
    assert make(weights="random:7").synthetic


@pytest.mark.parametrize(
    ("texts", "error", "says"),
    [
        ({"model": "vitx"}, UsageError, "vith16plus"),
        ({"precision": "int4"}, UsageError, "w8a16"),
        ({"target": "iq1"}, UsageError, "iq9075"),
        ({"model": "digits", "weights": "hf"}, UsageError, "not on the hub"),
        ({"weights": "randomly"}, CheckpointError, "config.json"),
        ({"images": "/nowhere"}, CalibrationError, "/nowhere"),
        ({"heldout": "."}, UsageError, "--images"),
        ({"input": "int8"}, UsageError, "one of: float32, uint8"),
        ({"method": "kl"}, UsageError, "one of: min-max, percentile, mse"),
        ({"method": "mse", "precision": "fp16"}, UsageError, "no ranges to calibrate"),
        ({"size": "wide"}, UsageError, "480x640"),
        ({"size": "230"}, UsageError, "--size 224 is the nearest"),
        ({"size": "2048"}, UsageError, "--size 1024 is the largest"),
        ({"weights": "builtin"}, UsageError, "no built-in weights"),
        ({"lane": "focal"}, UsageError, "bookworm"),
        ({"memory": "-1"}, UsageError, "--memory -1: must be a number above 0"),
        ({"sign": "/nowhere/key"}, ArtefactError, "no key /nowhere/key"),
        ({"sdk": "."}, SdkError, "sdk.yaml"),
        ({"precision": "mixed"}, UsageError, "needs a budget"),
        ({"max_ms": 20.0}, UsageError, "--precision mixed"),
        ({"precision": "mixed", "max_ms": -1.0}, UsageError, "above 0"),
        ({"precision": "mixed", "min_cosine": 1.0}, UsageError, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused_in_words(
    texts: dict[str, str | float], error: type[PipelineError], says: str
) -> None:
    with pytest.raises(error) as caught:
        make(**texts)
    assert says in str(caught.value)


def test_a_directory_with_a_config_is_taken(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert make(weights=str(tmp_path)).weights_directory == tmp_path


def test_home_is_expanded_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sdk.yaml").write_text("")
    request = make(build_dir="~/x", weights="~", images="~", heldout="~", sdk="~")
    assert request.build_dir == tmp_path / "x"
    folders = (Path(request.weights), request.images, request.heldout, request.sdk)
    assert set(folders) == {tmp_path}


def test_a_network_that_departs_from_the_usual_has_a_folder_of_its_own() -> None:
    names = [
        make(**texts).root.name
        for texts in (
            {"size": "224"},
            {"size": "512"},
            {"size": "480x640", "input": "uint8"},
            {"model": "digits", "input": "uint8"},
        )
    ]
    assert names == ["vits16", "vits16-512", "vits16-480x640-uint8", "digits-uint8"]


def test_the_size_is_what_the_weights_say(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"image_size": 512}')
    assert str(make(weights=str(tmp_path)).size) == "512"
    processor = '{"size": {"height": 480, "width": 640}}'
    (tmp_path / "preprocessor_config.json").write_text(processor)
    assert str(make(weights=str(tmp_path)).size) == "480x640"
    assert str(make(weights=str(tmp_path), size="224").size) == "224"
