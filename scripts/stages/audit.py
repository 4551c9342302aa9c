"""Measure every activation's range on calibration pictures; refuse float16 where it overflows."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from scripts import artefacts, catalog, metrics, program
from scripts.pictures import image_set
from scripts.pictures.picture_input import PictureInput
from scripts.quantization import magnitudes


def main(arguments: argparse.Namespace) -> None:
    """Write the ranges; in fp16, hold them against what float16 can hold."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    network = Network.load(arguments.onnx)
    files = image_set.raws(arguments.calibration, PictureInput.of(network).suffix)
    activations = magnitudes.measure(network, files[: arguments.count])
    target = arguments.out / artefacts.ranges(arguments.model, precision.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    table = {name: asdict(activation) for name, activation in activations.items()}
    target.write_text(json.dumps(metrics.rounded(table), indent=1) + "\n")
    widest = max(activations, key=lambda name: activations[name].largest)
    largest = activations[widest].largest
    say(f"  widest of {len(activations)} activations: {widest}, up to {largest:.4g}")
    if precision.weights == 16:
        magnitudes.require_float16(activations)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--onnx", type=Path, required=True, help="lowered float32 network")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration set")
    parser.add_argument("--count", type=int, default=4, help="pictures to run")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
