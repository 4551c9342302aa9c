"""Translate ONNX and encodings into a QNN model: `.cpp`, `.bin` and `_net.json`."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, catalog, sdk
from scripts.errors import ArtefactError, ConversionError
from scripts.stages import netjson, program, progress, tools

HALF_FLOAT = ("--float_bitwidth", "16")
# What openqnn validates nodes for. The official converter knows no device, and looks at none.
SOC_VARIABLE = "OPENQNN_SOC_MODEL"


def main(arguments: argparse.Namespace) -> None:
    """Run `qnn-onnx-converter` of the SDK in force and check what it made.

    Raises:
        ArtefactError: an input is missing.
        ConversionError: the converter refuses the model, or changed what it must keep.
    """
    for path in (arguments.onnx, arguments.encodings):
        if path is not None and not path.is_file():
            raise ArtefactError(f"{path} does not exist.", remedy="run `invoke build`")
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    cpp = arguments.out / artefacts.model_cpp(arguments.model, arguments.precision)
    cpp.parent.mkdir(parents=True, exist_ok=True)
    with progress.heartbeat("convert"):
        tools.run(
            sdk.in_force(),
            "qnn-onnx-converter",
            *options(arguments.onnx, cpp, arguments.encodings),
            cwd=cpp.parent,
            error=ConversionError,
            cause="an operator, shape or data type that the HTP does not take",
            variables={SOC_VARIABLE: str(target.soc_model)},
        )
    _require(cpp)
    description = cpp.with_name(f"{cpp.stem}_net.json")
    netjson.check(description, arguments.onnx, quantized=arguments.encodings is not None)


def options(model: Path, cpp: Path, encodings: Path | None) -> list[str | Path]:
    """Return the converter's command line; only documented options, which every SDK has.

    Simplifying would serialise the model into one protobuf, which must stay under 2 GB.
    """
    how: tuple[str | Path, ...] = HALF_FLOAT
    if encodings is not None:
        how = ("--quantization_overrides", encodings, "--float_fallback")
    return ["-i", model, "-o", cpp, "--preserve_io", "--no_simplification", *how]


def _require(cpp: Path) -> None:
    """Some releases leave the suffix of the source out: put it on."""
    if not cpp.is_file() and cpp.with_suffix("").is_file():
        cpp.with_suffix("").rename(cpp)
    for path in (cpp, cpp.with_suffix(".bin"), cpp.with_name(f"{cpp.stem}_net.json")):
        if not path.is_file():
            raise ConversionError(f"The converter succeeded, but left no {path.name}.")


def _parser() -> argparse.ArgumentParser:
    made = program.parser(__doc__)
    made.add_argument("--model", required=True, help="name in the catalog")
    made.add_argument("--precision", required=True)
    made.add_argument("--target", required=True, help="board, by its name in the catalog")
    made.add_argument("--onnx", type=Path, required=True, help="fp32 model")
    made.add_argument("--encodings", type=Path, help="in AIMET's format; without: float16")
    return made


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
