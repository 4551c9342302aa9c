"""Rewrite a float32 network into forms that the HTP is fast at: the same function, to rounding."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from scripts import artefacts, catalog, program
from scripts.lowering.lower import lower, report
from scripts.pictures import preprocess
from scripts.pictures.picture_input import PictureInput


def main(arguments: argparse.Namespace) -> None:
    """Write the lowered network, and what each rewrite did to it."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = arguments.out / artefacts.lowered_onnx(model.name, precision.name)
    pixels = None
    if arguments.input == catalog.BYTES:
        takes = PictureInput.load(arguments.onnx)
        pixels = preprocess.settings(takes.size, arguments.weights, model)
    without, added = arguments.without, arguments.added
    applied = lower(arguments.onnx, target, precision.name, without, pixels, added)
    report(applied)
    record = {
        "precision": precision.name,
        "left_out": without,
        "added": added,
        "rewrites": [asdict(rewrite) for rewrite in applied],
    }
    path = arguments.out / artefacts.rewrites(model.name, precision.name)
    path.write_text(json.dumps(record, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="precision the forms are for")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network from export")
    parser.add_argument(
        "--without", action="append", default=[], metavar="REWRITE", help="leave a rewrite out"
    )
    parser.add_argument(
        "--with",
        dest="added",
        action="append",
        default=[],
        metavar="REWRITE",
        help="apply a rewrite whatever was measured",
    )
    parser.add_argument(
        "--input",
        choices=catalog.INPUTS,
        default=catalog.FLOATS,
        help="uint8: RGB [1, height, width, 3] as a camera gives it",
    )
    parser.add_argument(
        "--weights", type=Path, help="checkpoint with the mean and standard deviation to use"
    )
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
