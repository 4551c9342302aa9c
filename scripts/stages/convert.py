"""Translate ONNX and encodings into a QNN model: `.cpp`, `.bin` and `_net.json`."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, catalog, program
from scripts.htp import conversion


def main(arguments: argparse.Namespace) -> None:
    """Run the SDK's `qnn-onnx-converter` and check the model."""
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    cpp = arguments.out / artefacts.model_cpp(arguments.model, arguments.precision)
    conversion.convert(arguments.onnx, arguments.encodings, cpp, target)


def _parser() -> argparse.ArgumentParser:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--target", required=True, help="board, by its name in the catalog")
    parser.add_argument("--onnx", type=Path, required=True, help="fp32 model")
    parser.add_argument("--encodings", type=Path, help="in AIMET's format (default: none, float16)")
    return parser


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
