"""Where a network passes that missed a gate: by what was built of it, never by a guess."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from scripts import artefacts, catalog
from scripts.catalog import Precision
from scripts.pipeline.cas import Manifest
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store


@dataclass(frozen=True)
class Passing:
    """A precision that a network passes at, and its simulated milliseconds if there are any."""

    precision: str
    milliseconds: float | None

    def __str__(self) -> str:
        time = "" if self.milliseconds is None else f", {self.milliseconds:.3g} ms"
        return f"passes at: {self.precision}{time}"


def line(request: Request) -> str:
    """Return what to say of a network that missed its gate, nothing where there is no way on."""
    store = Store(request.root)
    passing = sorted(_passing(request, store), key=lambda build: build.milliseconds or 0.0)
    if passing:
        return str(passing[0])
    untried = _more_exact(request)
    return f"try --precision {untried}" if untried else ""


def _passing(request: Request, store: Store) -> Iterator[Passing]:
    """Yield the precisions whose whole build of the same network, pictures and target passed."""
    for precision in catalog.precisions().values():
        verified = store.manifest(f"verify-{precision.name}")
        stage = f"context-{precision.name}-{request.target.name}"
        compiled = store.manifest(stage)
        if precision == request.precision or not verified or not compiled:
            continue
        context = str(artefacts.context_binary(precision.name))
        same = compiled["outputs"][context]["sha256"] == verified["inputs"].get(context)
        whole = not store.damaged(stage) and not store.damaged(f"verify-{precision.name}")
        if same and whole and _is_of(request, store, verified) and _passes(request, precision):
            yield Passing(precision.name, _milliseconds(request, precision))


def _is_of(request: Request, store: Store, verified: Manifest) -> bool:
    """Tell whether the network and the pictures that were verified are those of now."""
    exported, inputs = store.manifest("export"), verified["inputs"]
    source = artefacts.eager_onnx(request.model.name)
    files = [str(source), str(artefacts.with_suffix(source, ".onnx_data"))]
    pictures = artefacts.image_set("heldout")
    return (
        exported is not None
        and all(exported["outputs"][file]["sha256"] == inputs.get(file) for file in files)
        and store.digest(pictures) == inputs.get(str(pictures))
    )


def _passes(request: Request, precision: Precision) -> bool:
    """Tell whether a build is within its own gate, and within the one that was missed."""
    report = _read(request, artefacts.verify_report(precision.name))
    figures: Mapping[str, float] = report["figures"]
    bounds = [*precision.gate.items(), *request.precision.gate.items()]
    return all(figures[name] >= bound for name, bound in bounds if name in figures)


def _milliseconds(request: Request, precision: Precision) -> float | None:
    estimate = _read(request, artefacts.estimate(precision.name))
    return estimate["microseconds"] / 1000 if estimate else None


def _more_exact(request: Request) -> str:
    """Return the next more exact precision that was not tried in vain, if the target has any."""
    for precision in catalog.more_exact(request.precision):
        failed = request.root / artefacts.failed(f"verify-{precision.name}")
        if precision.name not in request.target.lacks and not failed.exists():
            return precision.name
    return ""


def _read(request: Request, path: PurePosixPath) -> Any:
    return json.loads((request.root / path).read_text())
