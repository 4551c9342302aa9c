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
from scripts.catalog import Precision
from scripts.errors import UsageError
from scripts.htp import simulation
from scripts.pictures import image_set
from scripts.pictures.picture_input import PictureInput
from scripts.quantization import aimet, calibration, widths
from scripts.quantization.calibration import Source
from scripts.quantization.choice import Chooser
from scripts.quantization.frontier import Budget
from scripts.quantization.pins import Pins


def main(arguments: argparse.Namespace) -> None:
    """Write the network that the encodings belong to, and the encodings."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    if precision.weights == 16:
        raise UsageError(
            f"Precision {precision.name} has float weights: there is nothing to quantise.",
            remedy="go on with `invoke context`, or choose int8 or w8a16",
        )
    if arguments.encodings:
        _adopt(arguments, precision)
        return
    if arguments.widths:  # refused before what takes long
        Pins.load(arguments.widths, Network.load(arguments.onnx))
    suffix = PictureInput.load(arguments.onnx).suffix
    raws = calibration.split(image_set.raws(arguments.calibration, suffix))
    source = Source(arguments.onnx, *raws, arguments.method, arguments.equalise)
    target = arguments.out / artefacts.quantized_onnx(arguments.model, arguments.precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = source.encoded(precision, target)
    if precision.activations == widths.NARROW:
        made = choose(arguments, precision, source, target, made)
    _save(arguments, target, made)


def _adopt(arguments: argparse.Namespace, precision: Precision) -> None:
    """Take the encodings of a file of AIMET's in place of calibrated ones."""
    names = (arguments.model, arguments.precision)
    target = arguments.out / artefacts.quantized_onnx(*names)
    encodings = aimet.adopted(arguments.onnx, target, arguments.encodings, precision)
    if precision.activations == widths.NARROW:
        aimet.save_widths(Network.load(target), encodings, arguments.out / artefacts.widths(*names))
    _save(arguments, target, encodings)


def _save(arguments: argparse.Namespace, target: Path, encodings: Encodings) -> None:
    """Write encodings as the converter takes them, and as AIMET reads them."""
    names = (arguments.model, arguments.precision)
    calibration.mark(target, arguments.precision)
    encodings.save(arguments.out / artefacts.encodings(*names))
    aimet.save(Network.load(target), encodings, arguments.out / artefacts.aimet_encodings(*names))
    activations, constants = len(encodings.activations), len(encodings.params)
    say(f"  {activations} activations and {constants} constants have encodings")


def choose(
    arguments: argparse.Namespace, precision: Precision, source: Source, path: Path, made: Encodings
) -> Encodings:
    """Return encodings with the widths that are chosen; write their network, and why."""
    target = catalog.pick(catalog.targets(), arguments.target, "target").clock
    names = (arguments.model, arguments.precision)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        scratch = Path(folder)

        def simulate(file: Path, encodings: Encodings) -> float:
            return simulation.milliseconds(file, encodings, precision, target, scratch)

        chooser = Chooser(path, made, simulate)
        pins = chooser.pins(arguments.widths)
        if precision.budgeted:
            budget = Budget(arguments.max_ms, arguments.min_cosine)
            chosen = chooser.within(budget, precision, source, pins, scratch)
        else:
            chosen = chooser.choose(precision, source, pins, scratch)
        chosen.form.save(path)
    say(f"  why these widths: {chosen.reason}")
    report = arguments.out / artefacts.widths(*names)
    report.write_text(json.dumps(chosen.report, indent=1) + "\n")
    if chosen.frontier:
        chosen.frontier.save(arguments.out / artefacts.frontier(*names))
    return chosen.form.encodings


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="any but fp16")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration set")
    parser.add_argument("--method", choices=clipping.METHODS, default=clipping.MIN_MAX)
    parser.add_argument(
        "--no-equalise", dest="equalise", action="store_false", help="keep channels as they are"
    )
    parser.add_argument("--target", required=True, help="board whose time counts")
    parser.add_argument(
        "--widths", type=Path, help='pinned widths: {"16": {kind: [tensors] or "all"}, "8": {...}}'
    )
    parser.add_argument("--encodings", type=Path, help="AIMET's, in place of calibrated ones")
    parser.add_argument("--max-ms", type=float, help="simulated milliseconds that mixed may take")
    parser.add_argument("--min-cosine", type=float, help="worst cosine that mixed must reach")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
