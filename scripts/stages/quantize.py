"""Calibrate a network's activations, and write its quantisation encodings in AIMET's format.

The network itself stays float32; `qnn-onnx-converter` applies the encodings.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from openqnn.quantization import clipping
from openqnn.quantization.encodings import Encodings
from scripts import artefacts, catalog, program
from scripts.errors import UsageError
from scripts.htp import simulation
from scripts.pictures import image_set
from scripts.pictures.picture_input import PictureInput
from scripts.quantization import calibration, widths
from scripts.quantization.frontier import Budget, Frontier
from scripts.quantization.search import Search

# The share of the gate's loss that quantising may use up; the rest is for other pictures.
MARGIN = 0.6


def main(arguments: argparse.Namespace) -> None:
    """Write the network that the encodings belong to, and the encodings."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    if precision.weights != 8:
        raise UsageError(
            f"Precision {precision.name} has float weights: there is nothing to quantise.",
            remedy="go on with `invoke context`, or choose int8 or w8a16",
        )
    suffix = PictureInput.load(arguments.onnx).suffix
    pictures, unseen = calibration.split(image_set.raws(arguments.calibration, suffix))
    target = arguments.out / artefacts.quantized_onnx(arguments.model, arguments.precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = calibration.encoded(
        arguments.onnx,
        target,
        pictures,
        precision.activations,
        method=arguments.method,
        equal=arguments.equalise,
    )
    if precision.activations == widths.NARROW:
        with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
            search = calibration.search(target, made, unseen, Path(scratch))
            if precision.budgeted:
                raised = budgeted(arguments, target, made, search, Path(scratch))
            else:
                raised = search.run(1 - MARGIN * (1 - precision.gate["cls_mean"]))
        made = widths.raised(Network.load(target), made, raised)
        report = arguments.out / artefacts.widths(arguments.model, arguments.precision)
        report.write_text(json.dumps(search.named(raised), indent=1) + "\n")
    made.save(arguments.out / artefacts.encodings(arguments.model, arguments.precision))
    say(f"  {len(made.activations)} activations and {len(made.params)} constants have encodings")


def budgeted(
    arguments: argparse.Namespace, path: Path, made: Encodings, search: Search, scratch: Path
) -> set[str]:
    """Return the activations to raise within a budget, and write the frontier."""

    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = catalog.pick(catalog.targets(), arguments.target, "target")

    def simulate(wide: set[str]) -> float:
        encodings = widths.raised(Network.load(path), made, wide)
        return simulation.milliseconds(path, encodings, precision, target, scratch)

    found = Frontier(search, simulate)
    chosen = found.choose(Budget(arguments.max_ms, arguments.min_cosine))
    found.save(arguments.out / artefacts.frontier(arguments.model, arguments.precision))
    return chosen


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="int8, w8a16 or mixed")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration set")
    parser.add_argument("--method", choices=clipping.METHODS, default=clipping.MIN_MAX)
    parser.add_argument(
        "--no-equalise", dest="equalise", action="store_false", help="keep channels as they are"
    )
    parser.add_argument("--target", help="board whose time counts, for mixed")
    parser.add_argument("--max-ms", type=float, help="simulated milliseconds that mixed may take")
    parser.add_argument("--min-cosine", type=float, help="worst cosine that mixed must reach")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
