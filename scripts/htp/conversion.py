"""From ONNX and encodings to a QNN model, with `qnn-onnx-converter`."""

from __future__ import annotations

from pathlib import Path

from scripts.catalog import Target
from scripts.errors import ArtefactError, ConversionError
from scripts.htp import netjson, sdk, tools

HALF_FLOAT = ("--float_bitwidth", "16")
# The chip that openqnn validates nodes for; the official converter ignores it.
SOC_VARIABLE = "OPENQNN_SOC_MODEL"


def convert(model: Path, encodings: Path | None, cpp: Path, target: Target) -> None:
    """Write a model's `.cpp`, `.bin` and `_net.json`; no encodings mean float16.

    Raises:
        ArtefactError: an input is missing.
        ConversionError: the converter refuses the model, or changed what it must keep.
    """
    for path in (model, encodings):
        if path is not None and not path.is_file():
            raise ArtefactError(f"{path} does not exist.", remedy="run `invoke build`")
    cpp.parent.mkdir(parents=True, exist_ok=True)
    with tools.heartbeat("convert"):
        tools.run(
            sdk.in_force(),
            "qnn-onnx-converter",
            *options(model, cpp, encodings),
            cwd=cpp.parent,
            error=ConversionError,
            cause="an operator, shape or data type that the HTP does not take",
            variables={SOC_VARIABLE: str(target.soc_model)},
        )
    _require(cpp)
    description = cpp.with_name(f"{cpp.stem}_net.json")
    netjson.check(description, model, quantized=encodings is not None)


def options(model: Path, cpp: Path, encodings: Path | None) -> list[str | Path]:
    """Return the converter's command line; only documented options, which every SDK has.

    Simplifying would serialise the model into one protobuf, which must stay under 2 GB.
    """
    how: tuple[str | Path, ...] = HALF_FLOAT
    if encodings is not None:
        how = ("--quantization_overrides", encodings, "--float_fallback")
    return ["-i", model, "-o", cpp, "--preserve_io", "--no_simplification", *how]


def _require(cpp: Path) -> None:
    """Add the suffix of the source, which some releases leave out."""
    if not cpp.is_file() and cpp.with_suffix("").is_file():
        cpp.with_suffix("").rename(cpp)
    for path in (cpp, cpp.with_suffix(".bin"), cpp.with_name(f"{cpp.stem}_net.json")):
        if not path.is_file():
            raise ConversionError(f"The converter succeeded, but left no {path.name}.")
