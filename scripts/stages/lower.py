"""Rewrite a float32 network into forms that the HTP is fast at: the same function, to rounding."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, catalog, program
from scripts.lowering.lower import lower
from scripts.pictures import preprocess


def main(arguments: argparse.Namespace) -> None:
    """Write the lowered network."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = arguments.out / artefacts.lowered_onnx(model.name, precision.name)
    pixels = None
    if arguments.input == catalog.BYTES:
        pixels = preprocess.settings(model.image_size, arguments.weights)
    lower(arguments.onnx, target, precision.name, arguments.without, pixels)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="precision to be fast at")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network from export")
    parser.add_argument(
        "--without", action="append", default=[], metavar="REWRITE", help="leave a rewrite out"
    )
    parser.add_argument(
        "--input",
        choices=catalog.INPUTS,
        default=catalog.FLOATS,
        help="uint8: RGB [1, height, width, 3] as a camera gives it",
    )
    parser.add_argument("--weights", type=Path, help="checkpoint whose mean and deviation hold")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
