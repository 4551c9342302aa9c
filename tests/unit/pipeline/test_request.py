from pathlib import Path

import pytest

from scripts.errors import CalibrationError, CheckpointError, PipelineError, SdkError, UsageError
from scripts.pipeline import request
from scripts.pipeline.request import Request


def make(**given: str | float) -> Request:
    options = {"model": "vits16", "precision": "int8", "target": "iq9075", **given}
    return request.make(**options)  # type: ignore[arg-type]


def test_defaults() -> None:
    assert make().from_hub
    assert make(model="digits").weights_directory == request.BUILTIN_WEIGHTS
    assert make(weights="random").synthetic
    assert make(weights="random:7").synthetic


@pytest.mark.parametrize(
    ("given", "error", "says"),
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
        ({"sdk": "."}, SdkError, "sdk.yaml"),
        ({"precision": "mixed"}, UsageError, "needs a budget"),
        ({"max_ms": 20.0}, UsageError, "--precision mixed"),
        ({"precision": "mixed", "max_ms": -1.0}, UsageError, "above 0"),
        ({"precision": "mixed", "min_cosine": 1.0}, UsageError, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused_in_words(
    given: dict[str, str | float], error: type[PipelineError], says: str
) -> None:
    with pytest.raises(error) as caught:
        make(**given)
    assert says in str(caught.value)


def test_a_directory_with_a_config_is_taken(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert make(weights=str(tmp_path)).weights_directory == tmp_path
