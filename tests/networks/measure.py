"""Accuracy and simulated time of a stand-in at the size of ViT-S (docs/accuracy.md), in the image.

python -m tests.networks.measure --kind G --precision int8 --out DIR
"""

from __future__ import annotations

import argparse
import json
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np

from openqnn.network.onnx_network import Network
from scripts import artefacts, catalog, metrics, program
from scripts.catalog import Model
from scripts.checkpoint import export
from scripts.htp import contexts, conversion, estimate, libraries, sdk
from scripts.lowering.lower import lower
from scripts.outputs import TOKENS
from scripts.pictures import image_set
from scripts.pictures.picture_input import PictureInput
from scripts.stages import calibrate, images, quantize
from scripts.verification import features
from tests.networks import standins

MODEL = "vits16"
PLAIN = "plain"
# Whose MLPs are gated, and whose are not; the plain network of either is that of the same weights.
GATED = {"G": True, "M": False}
WEIGHTS_SEED, OUTLIERS_SEED = 5, 11


def pictures(out: Path) -> None:
    """Write calibration and held-out pictures, unless they are there."""
    if (out / artefacts.image_set("heldout")).exists():
        return
    model = catalog.models()[MODEL]
    images.main(Namespace(out=out, set=model.images))
    root = out / "images" / model.images
    counts = {"calibration": model.calibration_images, "heldout": model.simulated_images}
    for part, count in counts.items():
        calibrate.main(
            Namespace(
                out=out,
                images=root / part,
                set=part,
                size=model.picture_size,
                count=count,
                weights=None,
                model=MODEL,
                exclude=None,
                beside=0,
            )
        )


def network(out: Path, kind: str, *, plain: bool) -> Path:
    """Write a stand-in, or the network without outliers that it is made from."""
    model: Model = replace(catalog.models()[MODEL], gated_mlp=GATED[kind])
    source, path = out / f"{kind}-{PLAIN}.onnx", out / f"{kind}.onnx"
    if not source.exists():
        weights = export.open_source(model, f"random:{WEIGHTS_SEED}", model.picture_size)
        export.write(weights, MODEL, source)
    if not plain and not path.exists():
        standins.KINDS[kind](source, path, OUTLIERS_SEED)
    return source if plain else path


def main(arguments: argparse.Namespace) -> None:
    """Build a stand-in to its context, run it in the simulator, and write its figures."""
    out: Path = arguments.out
    pictures(out)
    source = network(out, arguments.kind, plain=arguments.plain)
    folder = out / f"{source.stem}-{arguments.precision}"
    lowered = folder / artefacts.lowered_onnx(MODEL, arguments.precision)
    lower(source, lowered, arguments.precision, [])
    started = time.monotonic()
    quantize.main(
        Namespace(
            out=folder,
            model=MODEL,
            precision=arguments.precision,
            onnx=lowered,
            calibration=out / artefacts.image_set("calibration"),
            method=catalog.MIN_MAX,
            equalise=True,
            encodings=None,
            target=arguments.target,
            max_ms=None,
            min_cosine=None,
            widths=None,
        )
    )
    seconds = time.monotonic() - started
    context = _context(folder, arguments.precision, arguments.target)
    report = {
        "kind": f"{arguments.kind}{' plain' if arguments.plain else ''}",
        "precision": arguments.precision,
        "milliseconds": estimate.required(estimate.load(context)).microseconds / 1000,
        "quantize_seconds": round(seconds, 1),
        **_figures(source, lowered, context, out / artefacts.image_set("heldout")),
    }
    print(json.dumps(report), flush=True)
    (folder / "figures.json").write_text(json.dumps(report, indent=1) + "\n")


def _context(folder: Path, precision: str, target: str) -> Path:
    cpp = folder / artefacts.model_cpp(MODEL, precision)
    library = folder / artefacts.model_library(MODEL, precision, sdk.HOST)
    context = folder / artefacts.context_binary(precision)
    conversion.convert(
        folder / artefacts.quantized_onnx(MODEL, precision),
        folder / artefacts.encodings(MODEL, precision),
        cpp,
        catalog.targets()[target],
    )
    libraries.build(cpp, cpp.with_suffix(".bin"), library, [sdk.HOST])
    precisions, targets = catalog.precisions(), catalog.targets()
    contexts.compile_context(library, precisions[precision], targets[target], context)
    return context


def _figures(source: Path, lowered: Path, context: Path, held_out: Path) -> dict[str, float]:
    exact, takes = Network.load(source), PictureInput.load(lowered)
    raws = image_set.raws(held_out, takes.suffix)
    size = catalog.models()[MODEL].image_size
    tensors = [np.fromfile(raw, np.float32).reshape(1, 3, size, size) for raw in raws]
    reference, _ = features.reference(exact, tensors)
    found = features.of_context(context, exact, raws, takes)
    return metrics.figures(reference[TOKENS], found[TOKENS], (size // 16) ** 2)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--kind", choices=GATED, required=True, help="which outliers")
    parser.add_argument("--plain", action="store_true", help="the same network without them")
    parser.add_argument("--precision", default="int8", help="int8, w8a16 or mixed")
    parser.add_argument("--target", default="iq9075", help="board in the catalog")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
