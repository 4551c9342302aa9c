"""Accuracy and simulated time of a stand-in (docs/accuracy.md), in the image.

python -m tests.networks.measure --network G --precision int8 --out DIR

Builds it to its context, has the stage `verify` judge it on the catalog's held-out pictures, and
writes `figures.json` into the folder DIR/NETWORK-PRECISION.
"""

from __future__ import annotations

import argparse
import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from scripts import artefacts, catalog, program
from scripts.catalog import Model, Precision
from scripts.checkpoint import export
from scripts.htp import contexts, conversion, estimate, libraries, sdk
from scripts.lowering.lower import lower
from scripts.stages import calibrate, images, quantize, verify
from tests.networks import standins, train
from tests.networks.standins import LEARNED, STANDINS, StandIn

OUTLIERS_SEED = 11
FIGURES = "figures.json"
# One picture tells that the simulator runs the integer network; that judges the others.
SIMULATED = 1
# Digits is small, and in fp16 the simulator judges alone.
SIMULATED_ALONE = 4
# The budget of mixed: what the search of int8 aims at.
LEAST_COSINE = 0.994


def pictures(out: Path, model: Model) -> None:
    """Write calibration and held-out pictures of a model, unless they are there."""
    if (out / artefacts.image_set("heldout") / "manifest.json").exists():
        return
    images.main(Namespace(out=out, set=model.images))
    counts = {"calibration": model.calibration_images, "heldout": model.verify_images}
    for part, count in counts.items():
        calibrate.main(
            Namespace(
                out=out,
                images=out / "images" / model.images / part,
                set=part,
                size=model.picture_size,
                count=count,
                weights=None,
                model=model.name,
                exclude=None,
                beside=0,
            )
        )


def network(out: Path, name: str) -> Path:
    """Write a stand-in, unless it is there: first as it is without outliers."""
    standin, model = STANDINS[name], standins.model(name)
    source, path = standins.source(out, name), standins.stored(out, name)
    if not source.exists():
        opened = export.open_source(model, weights(out, standin), model.picture_size)
        export.write(opened, model.name, source)
    if standin.change and not path.exists():
        standin.change(source, path, OUTLIERS_SEED)
    return path


def weights(out: Path, standin: StandIn) -> str:
    """Return what `export` takes; train the network whose weights are not kept."""
    if standin.weights != LEARNED:
        return standin.weights
    folder = out / LEARNED
    if not (folder / train.REPORT).exists():
        train.main(Namespace(out=folder))
    return str(folder)


def main(arguments: argparse.Namespace) -> None:
    """Build a stand-in in a precision, and write its figures."""
    row = measured(arguments.out, arguments.network, arguments.precision)
    print(json.dumps(row), flush=True)


def measured(out: Path, name: str, precision: str) -> dict[str, Any]:
    """Return the figures of a stand-in in a precision; measure them unless that was done."""
    folder = out / f"{name}-{precision}"
    file = folder / FIGURES
    if not file.exists():
        row = _measure(out / STANDINS[name].folder, name, catalog.precisions()[precision], folder)
        file.write_text(json.dumps(row, indent=1) + "\n")
    known: dict[str, Any] = json.loads(file.read_text())
    return known


def _measure(shared: Path, name: str, precision: Precision, folder: Path) -> dict[str, Any]:
    model, started = standins.model(name), time.monotonic()
    pictures(shared, model)
    source = network(shared, name)
    lowered = folder / artefacts.lowered_onnx(model.name, precision.name)
    lower(source, lowered, precision.name, [])
    if precision.weights < 16:
        _quantize(shared, folder, model, precision, lowered)
    quantized = time.monotonic()
    context = _context(folder, model, precision)
    _verify(shared, folder, model, precision, source)
    report = json.loads((folder / artefacts.verify_report(precision.name)).read_text())
    return {
        "network": name,
        "precision": precision.name,
        "milliseconds": round(estimate.required(estimate.load(context)).microseconds / 1000, 4),
        **{key: report[key] for key in ("figures", "gate", "pictures", "simulated_pictures")},
        "seconds_to_quantize": round(quantized - started, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


def _quantize(
    shared: Path, folder: Path, model: Model, precision: Precision, lowered: Path
) -> None:
    quantize.main(
        Namespace(
            out=folder,
            model=model.name,
            precision=precision.name,
            onnx=lowered,
            calibration=shared / artefacts.image_set("calibration"),
            method=catalog.MIN_MAX,
            equalise=True,
            encodings=None,
            target="iq9075",
            max_ms=None,
            min_cosine=LEAST_COSINE if precision.budgeted else None,
            widths=None,
        )
    )


def _context(folder: Path, model: Model, precision: Precision) -> Path:
    target = catalog.targets()["iq9075"]
    names = (model.name, precision.name)
    cpp = folder / artefacts.model_cpp(*names)
    library = folder / artefacts.model_library(*names, sdk.HOST)
    context = folder / artefacts.context_binary(precision.name)
    source, encodings = folder / artefacts.lowered_onnx(*names), None
    if precision.weights < 16:
        source = folder / artefacts.quantized_onnx(*names)
        encodings = folder / artefacts.encodings(*names)
    conversion.convert(source, encodings, cpp, target)
    libraries.build(cpp, cpp.with_suffix(".bin"), library, [sdk.HOST])
    contexts.compile_context(library, precision, target, context)
    return context


def _verify(shared: Path, folder: Path, model: Model, precision: Precision, source: Path) -> None:
    names = (model.name, precision.name)
    is_float = precision.weights == 16
    verify.main(
        Namespace(
            out=folder,
            model=model.name,
            precision=precision.name,
            context=folder / artefacts.context_binary(precision.name),
            network=folder / artefacts.lowered_onnx(*names),
            onnx=source,
            heldout=shared / artefacts.image_set("heldout"),
            images=shared / "images" / model.images / "heldout",
            simulate=SIMULATED_ALONE if is_float else SIMULATED,
            quantised=None if is_float else folder / artefacts.quantized_onnx(*names),
            encodings=None if is_float else folder / artefacts.encodings(*names),
            head=None,
            no_gate=True,
        )
    )


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--network", choices=STANDINS, required=True, help="which stand-in")
    parser.add_argument("--precision", default="int8", help="any of the catalog")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
