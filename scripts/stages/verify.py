"""Run the context binary in the HTP simulator, compare it with float32, and apply the gate.

The context gets the tensors or bytes that a device would get. The reference gets the pictures,
through the preprocessing: so inputs in a wrong layout or colour order, or a model compiled for
another one, miss the gate as well, and what rounding pixels to bytes loses counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from scripts import artefacts, catalog
from scripts.catalog import Precision
from scripts.errors import ArtefactError, CalibrationError, GateError, UsageError
from scripts.stages import calibration, metrics, preprocess, program, simulator
from scripts.stages.calibration import Observer
from scripts.stages.metrics import Features, Head
from scripts.stages.onnx_network import Network
from scripts.stages.picture_input import PictureInput
from scripts.stages.progress import say

INPUT, OUTPUT = "pixel_values", "last_hidden_state"
DIGITS = 6


@dataclass(frozen=True)
class HeldOut:
    """The held-out pictures: raws for the context, sources and labels as the manifest has them."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> HeldOut:
        """Return the set of a folder.

        Raises:
            CalibrationError: it is not there, or empty.
        """
        calibration.raws(folder)
        return cls(folder, json.loads((folder / "manifest.json").read_text()))

    @property
    def sources(self) -> list[str]:
        """Return the pictures' paths below their folder."""
        return [image["source"] for image in self.manifest["images"]]

    def pixels(self, images: Path, size: int) -> list[Features]:
        """Return every picture, preprocessed again, as [1,3,size,size].

        Raises:
            CalibrationError: a picture is not the one that the set was made of.
        """
        how = preprocess.Preprocessing(
            size, tuple(self.manifest["mean"]), tuple(self.manifest["std"])
        )
        made = []
        for image in self.manifest["images"]:
            path = images / image["source"]
            if not path.is_file() or sha256(path.read_bytes()).hexdigest() != image["sha256"]:
                raise CalibrationError(
                    f"{path} is not the picture that the held-out set was made of.",
                    remedy="run `invoke calibrate` again",
                )
            made.append(preprocess.to_pixels(preprocess.load(path), how)[None])
        return made

    def labels(self, classes: int) -> list[int]:
        """Return the pictures' classes: their folders' names, which must be numbers.

        Raises:
            UsageError: a label is no number below `classes`.
        """
        labels = [str(image["label"]) for image in self.manifest["images"]]
        wrong = [label for label in labels if not label.isdigit() or int(label) >= classes]
        if wrong:
            raise UsageError(
                f"The label {wrong[0]!r} is no class number below {classes}.",
                remedy="sort the pictures into folders 0, 1, 2, ..., or leave --head out",
            )
        return [int(label) for label in labels]


def main(arguments: argparse.Namespace) -> None:
    """Write `verify.json` and the golden output that boards are tried with; fail under the gate."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    model = catalog.pick(catalog.models(), arguments.model, "model")
    network = Network.load(arguments.onnx)
    held_out = HeldOut.load(arguments.heldout)
    size = network.shapes()[INPUT][-1]
    reference, widest = run_reference(network, held_out.pixels(arguments.images, size))
    takes = PictureInput.load(arguments.network)
    found = run_context(arguments.context, network, held_out.folder, takes)
    require_finite(reference, found, held_out.sources)
    patches = (size // model.patch_size) ** 2
    report = {
        "precision": precision.name,
        "input": str(takes.dtype),
        "pictures": len(found),
        "figures": metrics.figures(reference, found, patches),
        **_judged_by_labels(reference, found, held_out, arguments.head),
        "widest_activation": widest,
        "gate": dict(precision.gate),
        "gate_applied": not arguments.no_gate,
        "cls_by_picture": _by_picture(reference, found, held_out.sources),
    }
    _print(report)
    apply_gate(report["figures"], precision, skip=arguments.no_gate)
    target = arguments.out / artefacts.verify_report(precision.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(_rounded(report), indent=1) + "\n")
    golden = arguments.out / artefacts.golden_output(precision.name)
    golden.write_bytes(found[0].astype("<f4").tobytes())


def run_reference(
    network: Network, pictures: Sequence[Features]
) -> tuple[Features, dict[str, Any]]:
    """Return the float32 features of pictures, and the widest activation on the way."""
    observer = Observer(network)
    tensors = list(network.float_tensors())
    for tensor in tensors:
        observer.add_range(tensor)
    observer.add_output(OUTPUT)
    seen = observer.collect(pictures, "float32 reference")
    widest = {
        tensor: float(max(-np.min(seen[f"{tensor}:low"]), np.max(seen[f"{tensor}:high"])))
        for tensor in tensors
    }
    name = max(widest, key=lambda tensor: widest[tensor])
    overflows = sum(value > calibration.FP16_MAX for value in widest.values())
    found = {"tensor": name, "magnitude": widest[name], "beyond_float16": overflows}
    return np.concatenate(seen[OUTPUT]), found


def run_context(context: Path, network: Network, set_dir: Path, takes: PictureInput) -> Features:
    """Return the features that a context binary makes of the pictures of a set."""
    shape = tuple(network.shapes()[OUTPUT])
    with tempfile.TemporaryDirectory() as scratch:
        files = calibration.raws(set_dir, takes.suffix)
        found = simulator.run(context, files, OUTPUT, shape, Path(scratch), native=takes.is_bytes)
        return np.concatenate(list(found))


def apply_gate(figures: Mapping[str, float], precision: Precision, *, skip: bool) -> None:
    """Hold figures against a precision's gate.

    Raises:
        GateError: one is below its bound, and the gate is not skipped.
    """
    missed = [
        f"{name} is {figures[name]:.{DIGITS}f}, the gate is {bound}"
        for name, bound in precision.gate.items()
        if not figures[name] >= bound
    ]
    if missed and skip:
        say(f"  WARNING: --no-gate: {'; '.join(missed)}. This build is NOT faithful to float32.")
    elif missed:
        raise GateError(
            f"The {precision.name} context is not faithful to float32: {'; '.join(missed)}.",
            cause="too few bits for the model's outliers, calibration pictures unlike the "
            "held-out ones, or inputs in another layout or colour order than the network's",
            remedy="`invoke diagnose` plots where it broke; more pictures of the real scene "
            "(--images), --precision w8a16 or fp16; --no-gate builds it all the same, "
            "and says so in every manifest",
        )


def require_finite(reference: Features, found: Features, sources: Sequence[str]) -> None:
    """Refuse features that are not finite, whatever the gate.

    Raises:
        GateError: there is a NaN or an infinity.
    """
    for what, features in (("The float32 reference", reference), ("The context", found)):
        bad = [
            source
            for source, one in zip(sources, features, strict=True)
            if not np.isfinite(one).all()
        ]
        if bad:
            raise GateError(
                f"{what} gives NaN or infinity for {len(bad)} pictures, first {bad[0]}.",
                cause="an activation beyond the range of float16 (65504), or damaged weights",
                remedy="use --precision w8a16; check the weights with `invoke export`",
            )


def _judged_by_labels(
    reference: Features, found: Features, held_out: HeldOut, head: Path | None
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if head:
        weight, bias = read_head(head, reference.shape[-1])
        labels = held_out.labels(len(bias))
        made["accuracy"] = {
            "reference": metrics.accuracy(reference, (weight, bias), labels),
            "context": metrics.accuracy(found, (weight, bias), labels),
        }
    if len(found) >= metrics.ENOUGH:
        made["neighbour_agreement"] = metrics.neighbour_agreement(reference, found)
    return made


def read_head(path: Path, hidden: int) -> Head:
    """Return a linear classifier's weight [classes, hidden] and bias.

    Raises:
        ArtefactError: the file is not one for features of this size.
    """
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        weight, bias = tensors["weight"], tensors["bias"]
        if weight.shape != (len(bias), hidden):
            raise ValueError(f"its weight is {weight.shape}, the features have {hidden}")
    except Exception as error:
        raise ArtefactError(f"{path} is no linear head for this model: {error}.") from error
    return weight, bias


def _by_picture(reference: Features, found: Features, sources: Sequence[str]) -> dict[str, float]:
    cosines = metrics.cosine(reference[:, 0], found[:, 0])
    return dict(zip(sources, cosines.tolist(), strict=True))


def _print(report: Mapping[str, Any]) -> None:
    for name, value in report["figures"].items():
        bound = report["gate"].get(name)
        say(f"  {name:10} {value:.{DIGITS}f}" + (f"  (gate {bound})" if bound else ""))
    if overflows := report["widest_activation"]["beyond_float16"]:
        say(f"  warning: {overflows} activations reach beyond float16's 65504")
    for name, value in report.get("accuracy", {}).items():
        say(f"  accuracy of the {name}: {value:.4f}")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="whose gate to apply")
    parser.add_argument("--context", type=Path, required=True, help="context binary")
    parser.add_argument("--network", type=Path, required=True, help="lowered: what was compiled")
    parser.add_argument("--onnx", type=Path, required=True, help="exported float32 network")
    parser.add_argument("--heldout", type=Path, required=True, help="held-out image set")
    parser.add_argument("--images", type=Path, required=True, help="the pictures of that set")
    parser.add_argument("--head", type=Path, help="linear head on CLS, safetensors")
    parser.add_argument("--no-gate", action="store_true", help="report, but never fail")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
