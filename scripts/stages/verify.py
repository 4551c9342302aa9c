"""Compare the context binary with float32 on held-out pictures, and apply the gate.

The HTP simulator runs the context on the first pictures; it is slow. The integer network on the CPU
judges the others, and both engines must agree on those first ones. In fp16 there are no integers,
and the simulator judges alone.

Both get the tensors or bytes that a device would get. The reference gets the pictures, through the
preprocessing: so inputs in a wrong layout or colour order, or a model compiled for another one,
miss the gate as well, and what rounding pixels to bytes loses counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from scripts import artefacts, catalog, metrics, outputs, program
from scripts.metrics import DIGITS
from scripts.picture_size import PictureSize
from scripts.pictures.image_set import HeldOut
from scripts.pictures.picture_input import PictureInput
from scripts.verification import agreement, by_output, features, gate, labels, sample
from scripts.verification.evidence import Built, Quantised, gather
from scripts.words import counted


def main(arguments: argparse.Namespace) -> None:
    """Write `verify.json`, a sample of features and the golden outputs; then apply the gate."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    model = catalog.pick(catalog.models(), arguments.model, "model")
    network, takes = Network.load(arguments.onnx), PictureInput.load(arguments.network)
    quantised = None
    if arguments.encodings:
        quantised = Quantised(arguments.quantised, arguments.encodings)
    held_out = HeldOut.load(arguments.heldout)
    if not quantised:
        held_out = held_out.first(arguments.simulate)
    size = PictureSize(*network.shapes()[features.INPUT][-2:])
    held_out.require(size)
    evidence = gather(
        network,
        Built(arguments.context, takes, quantised),
        held_out.pixels(arguments.images, size, arguments.out),
        held_out.files(takes.suffix),
        arguments.simulate,
        arguments.out,
    )
    reference, built = evidence.reference, evidence.built
    gate.require_finite(reference, built, held_out.sources)
    grid = size.patches(model.patch_size)
    engines = agreement.judged(evidence, precision, prod(grid))
    figures = by_output.figures(reference, built, prod(grid))
    report = {
        "precision": precision.name,
        "input": str(takes.dtype),
        "pictures": len(held_out.sources),
        "simulated_pictures": min(arguments.simulate, len(held_out.sources)),
        "held_out": held_out.is_unseen,
        "figures": metrics.worst(figures.values()),
        **({} if [*figures] == [outputs.TOKENS] else {"outputs": figures}),
        "engines": engines,
        "layers": list(evidence.layers),
        **labels.judged(reference, built, held_out, arguments.head),
        "widest_activation": evidence.widest_activation,
        "gate": dict(precision.gate),
        "gate_applied": not arguments.no_gate,
        **by_output.by_picture(reference, built, held_out.sources),
    }
    _print(report, figures)
    target = arguments.out / artefacts.verify_report(precision.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(metrics.rounded(report), indent=1) + "\n")
    sample.save(arguments.out / artefacts.features(precision.name), reference, built, grid)
    by_output.save_golden(arguments.out, precision.name, built)
    agreement.require(engines, skip=arguments.no_gate)
    gate.apply(figures, precision, skip=arguments.no_gate)


def _print(report: Mapping[str, Any], figures: Mapping[str, Mapping[str, float]]) -> None:
    pictures, simulated = report["pictures"], report["simulated_pictures"]
    rest = f", {pictures - simulated} by the integer network" if pictures > simulated else ""
    say(f"  {counted(pictures, 'picture')}: {simulated} in the simulator{rest}")
    for output, own in figures.items():
        if "outputs" in report:
            say(f"  {output}:")
        for name, value in own.items():
            bound = report["gate"].get(name)
            figure = f"{metrics.rounded(value):.{DIGITS}f}"
            say(f"  {name:10} {figure}" + (f"  (gate {bound})" if bound else ""))
    if overflows := report["widest_activation"]["beyond_float16"]:
        say(f"  warning: {counted(overflows, 'activation')} beyond float16's 65504")
    for key, kind in (("accuracy", "accuracy"), ("knn_accuracy", "k-NN accuracy")):
        for name, value in report.get(key, {}).items():
            say(f"  {kind} of the {name}: {value:.4f}")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="precision whose gate applies")
    parser.add_argument("--context", type=Path, required=True, help="context binary")
    parser.add_argument("--network", type=Path, required=True, help="lowered: what was compiled")
    parser.add_argument("--onnx", type=Path, required=True, help="exported float32 network")
    parser.add_argument("--heldout", type=Path, required=True, help="held-out image set")
    parser.add_argument("--images", type=Path, required=True, help="the pictures of that set")
    parser.add_argument("--simulate", type=int, required=True, help="pictures for the simulator")
    parser.add_argument("--quantised", type=Path, help="network from quantize, not in fp16")
    parser.add_argument("--encodings", type=Path, help="its encodings")
    parser.add_argument("--head", type=Path, help="linear head on CLS, safetensors")
    parser.add_argument("--no-gate", action="store_true", help="report, but never fail")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
