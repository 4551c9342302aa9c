"""From the files of a build to the record that its page is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts import digests
from scripts.catalog import BYTES, Precision
from scripts.metrics import FP16_MAX
from scripts.package import build_id
from scripts.report import judged
from scripts.report.files import Names, paths
from scripts.report.record import (
    Artefact,
    Picture,
    Pixels,
    Report,
    Run,
    Sample,
    Tensor,
    Verdict,
)
from scripts.words import shown

WORST = 5
# Calibration pictures on the contact sheet.
MOST_PICTURES = 64
_LICENCES = {"builtin": "Apache-2.0 (built in)", "random": "none: random numbers"}
_DINOV3 = "DINOv3 License, or the texts given with the weights: licences/dinov3 in the package"


def read(
    root: Path,
    names: Names,
    host: Mapping[str, Any],
    run: Run | None = None,
    measured: Path | None = None,
) -> Report:
    """Return the record of a build.

    Args:
        root: folder of the build, `build/<model>`.
        names: which build of it.
        host: what only the host knows: image, source and parameters.
        run: times, memory and archive, where the page may tell them.
        measured: folder of files that a stage wrote before it refused; they count first.
    """
    folders = [folder for folder in (measured, root) if folder]
    files = {
        name: next((f / path for f in folders if (f / path).exists()), root / path)
        for name, path in paths(names).items()
    }
    export, verify = _document(files["export"]), _document(files["verify"])
    verdict = judged.verdict(verify)
    held_out = _Pictures.load(files["heldout"])
    features = np.load(files["features"])
    calibration = _Pictures.load(files["calibration"])
    pictures = tuple(_pictures(held_out, verdict, features["cosines"]))
    widths = _document(files["widths"]) if "widths" in files else {}
    tensors = tuple(_tensors(files))
    return Report(
        title=f"{names.model.name} {names.precision.name}",
        facts=_facts(names, export, verify, host, _precision(names.precision, widths, tensors)),
        origin={
            **_origin(export, host, build_id.find(files["context"])),
            "calibration pictures": calibration.identity(),
            "held-out pictures": held_out.identity(),
        },
        synthetic=bool(export["synthetic"]),
        verdict=verdict,
        samples=tuple(_samples(pictures, features)),
        pictures=pictures,
        layers=judged.layers(verify),
        tensors=tensors,
        is_float=names.precision.weights == 16,
        widths=widths,
        profile=_document(files["profile"]),
        frontier=tuple(_document(files["frontier"])) if "frontier" in files else (),
        rewrites=tuple(_document(files["rewrites"])["rewrites"]),
        calibration=tuple(
            calibration.pixels(i) for i in range(min(len(calibration), MOST_PICTURES))
        ),
        calibration_facts=calibration.facts(),
        artefacts=tuple(_artefact(root, files[name]) for name in ("context", "library")),
        run=run,
    )


@dataclass(frozen=True)
class _Pictures:
    """A set of preprocessed pictures, read as RGB."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> _Pictures:
        return cls(folder, _document(folder / "manifest.json"))

    def __len__(self) -> int:
        return len(self.manifest["images"])

    def pixels(self, place: int) -> Pixels:
        size, image = self.manifest["size"], self.manifest["images"][place]
        data = (self.folder / image["rgb"]).read_bytes()
        return np.frombuffer(data, np.uint8).reshape(size["height"], size["width"], 3)

    def identity(self) -> str:
        """Return how many there are, and what tells them from other pictures."""
        sums = "\n".join(image["rgb_sha256"] for image in self.manifest["images"])
        return f"{len(self)} pictures, SHA-256 {digests.of_bytes(sums.encode())}"

    def facts(self) -> dict[str, str]:
        skipped = self.manifest["skipped"]
        return {
            "pictures": str(len(self)),
            "left out": str(len(skipped)),
            "mean": ", ".join(map(str, self.manifest["mean"])),
            "deviation": ", ".join(map(str, self.manifest["std"])),
        }


def _pictures(held_out: _Pictures, verdict: Verdict, cosines: Any) -> Iterator[Picture]:
    """Yield the pictures that were judged: the first of the set, as many as have cosines."""
    places = {image["source"]: place for place, image in enumerate(held_out.manifest["images"])}
    for row, (source, cosine) in enumerate(verdict.by_picture.items()):
        patches = cosines[row].astype(np.float64) if row < len(cosines) else None
        yield Picture(shown(source), held_out.pixels(places[source]), cosine, patches)


def _samples(pictures: tuple[Picture, ...], features: Any) -> Iterator[Sample]:
    pairs = zip(features["reference"], features["context"], strict=True)
    for picture, (reference, context) in zip(pictures, pairs, strict=False):
        yield Sample(picture, reference.astype(np.float64), context.astype(np.float64))


def _tensors(files: Mapping[str, Path]) -> Iterator[Tensor]:
    """Yield the activations: encodings' ranges, or the magnitudes that `audit` found."""
    if "encodings" in files:
        for name, entries in _document(files["encodings"])["activation_encodings"].items():
            entry = entries[0]
            yield Tensor(name, entry["bitwidth"], entry["min"], entry["max"])
        return
    for name, magnitude in _document(files["ranges"]).items():
        yield Tensor(name, 16, -magnitude["largest"], magnitude["largest"])


def _encodings(host: Mapping[str, Any]) -> dict[str, str]:
    """Return which file of --encodings the build has its grids from, if it has one."""
    sums = {row["name"]: row["digest"]["sha256"] for row in host.get("materials", ())}
    if not (sha256 := sums.get("encodings")):
        return {}
    return {"encodings": f"AIMET's, from --encodings, SHA-256 {sha256}"}


def _facts(
    names: Names,
    export: Mapping[str, Any],
    verify: Mapping[str, Any],
    host: Mapping[str, Any],
    precision: str,
) -> dict[str, str]:
    height, width = export["picture_size"]
    config, target = export["config"], names.target
    takes = verify["input"]
    layout = "RGB, NHWC" if takes == BYTES else "planes, NCHW"
    tokens = (height // config["patch_size"]) * (width // config["patch_size"])
    return {
        "model": f"{names.model.description}; {export['parameters'] / 1e6:.1f} M parameters",
        "input": f"{takes}, {height} x {width} pixels, {layout}",
        "output": ", ".join(f"{name} {row['shape']}" for name, row in export["outputs"].items())
        if "outputs" in export
        else f"CLS, {config['num_register_tokens']} registers and {tokens} patches"
        f" of {config['hidden_size']} numbers",
        "precision": precision,
        "target": target.description,
        "weights": host.get("parameters", {}).get("weights", "not told"),
        **_encodings(host),
    }


def _precision(precision: Precision, widths: Mapping[str, Any], tensors: Sequence[Tensor]) -> str:
    """Return the bits of weights, and those that activations have."""
    if precision.weights == 16:
        return f"{precision.name}: weights and activations float16"
    weights = widths.get("why", {}).get("weights", precision.weights)
    bits = " and ".join(str(bits) for bits in sorted({tensor.bits for tensor in tensors}))
    return f"{precision.name}: {weights}-bit weights, {bits}-bit activations"


def _origin(export: Mapping[str, Any], host: Mapping[str, Any], sdk: str | None) -> dict[str, str]:
    """Return where it comes from: digests of sources and image, versions, the licence."""
    parameters, source = host.get("parameters", {}), host.get("source", {}).get("digest", {})
    weights = str(parameters.get("weights", "")).partition(":")[0]
    commit = source.get("gitCommit")
    return {
        "source": f"commit {commit}" if commit else _or_not_told(source.get("sha256")),
        "image": _or_not_told(host.get("image", {}).get("digest")),
        "weights' tensors, SHA-256": export["tensors_sha256"],
        "licence of the weights": _LICENCES.get(weights, _DINOV3),
        "QNN build": f"{_or_not_told(sdk)}, {_or_not_told(parameters.get('sdk'))}",
        "torch, transformers": f"{export['torch']}, {export['transformers']}",
        "export against torch": f"cosine {export['parity']['cosine']:.6f} on "
        f"{export['parity']['pictures']} pictures",
    }


def _or_not_told(value: Any) -> str:
    return str(value) if value else "not told"


def _artefact(root: Path, path: Path) -> Artefact:
    return Artefact(str(path.relative_to(root)), path.stat().st_size, digests.of_file(path))


def _document(path: Path) -> Any:
    return json.loads(path.read_text())


def headroom(tensors: tuple[Tensor, ...]) -> float:
    """Return how many times larger the widest activation could be in float16."""
    return FP16_MAX / max(tensor.magnitude for tensor in tensors)
