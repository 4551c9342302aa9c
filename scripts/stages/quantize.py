"""Calibrate a network's activations, and write its quantisation encodings in AIMET's format.

The network itself stays float32; `qnn-onnx-converter` applies the encodings.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

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
from scripts.quantization import calibration, forms, widths
from scripts.quantization.calibration import Unseen
from scripts.quantization.forms import Form, Forms
from scripts.quantization.frontier import Budget, Frontier
from scripts.quantization.search import Pins, Search, tensors
from scripts.quantization.twins import Clock

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
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            form, report = chosen(arguments, precision, made, unseen, Path(scratch))
        made = form.encodings
        onnx.save(form.network.model, target)
        file = arguments.out / artefacts.widths(arguments.model, arguments.precision)
        file.write_text(json.dumps(report, indent=1) + "\n")
    made.save(arguments.out / artefacts.encodings(arguments.model, arguments.precision))
    say(f"  {len(made.activations)} activations and {len(made.params)} constants have encodings")


def chosen(
    arguments: argparse.Namespace,
    precision: Precision,
    made: Encodings,
    files: Sequence[Path],
    scratch: Path,
) -> tuple[Form, dict[str, object]]:
    """Return the network with the widths that it gets, and a report on why."""
    path = arguments.out / artefacts.quantized_onnx(arguments.model, arguments.precision)
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    network = Network.load(path)
    unseen = Unseen.of(network, files)
    plain = forms.plain(network, made, exact=unseen.same)
    pins = read_pins(arguments.widths, network)
    # The trial takes the last form: a LayerNormalization's gain has 8 bits whatever is raised.
    search = calibration.search(*list(plain.values())[-1], unseen, scratch, pins)

    def simulate(file: Path, encodings: Encodings) -> float:
        return simulation.milliseconds(file, encodings, precision, target, scratch)

    clock = Clock(simulate, path.with_suffix(".onnx_data"))
    twins = Forms(plain, clock)
    search.take(twins.free(search.kinds))
    if precision.budgeted:
        whole = Forms(plain, clock.whole)
        frontier = Frontier(search, whole)
        form = frontier.choose(Budget(arguments.max_ms, arguments.min_cosine))
        frontier.save(arguments.out / artefacts.frontier(arguments.model, arguments.precision))
        return form, _report(search, form, whole.report(), frontier.facts())
    gate = precision.gate["cls_mean"]
    found = search.run(1 - MARGIN * (1 - gate), gate)
    form = twins.fastest(forms.candidates(search, found.wide))
    return form, _report(search, form, twins.report(), found.facts())


def read_pins(file: Path | None, network: Network) -> Pins:
    """Return the widths that a user has pinned.

    Raises:
        UsageError: the file is none of widths, or names what the network has not.
    """
    return Pins.load(file, network) if file else Pins()


def _report(
    search: Search,
    form: Form,
    simulated: Sequence[Mapping[str, object]],
    why: Mapping[str, object],
) -> dict[str, object]:
    """Return what `widths.json` says; of 8 bits and 16 bits it is a file of pins as well."""
    raised = {name for name in form.encodings.activations if name in form.wide}
    return {
        "why": {**why, "simulated": simulated, "form": form.facts()},
        "16": search.named(raised),
        "8": search.named(tensors(search.kinds) - raised),
    }


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
    parser.add_argument("--target", required=True, help="board whose time counts")
    parser.add_argument(
        "--widths", type=Path, help='pinned widths: {"16": {kind: [tensors] or "all"}, "8": {...}}'
    )
    parser.add_argument("--max-ms", type=float, help="simulated milliseconds that mixed may take")
    parser.add_argument("--min-cosine", type=float, help="worst cosine that mixed must reach")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
