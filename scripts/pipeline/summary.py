"""The end of a build: what was made, how long it took, how exact and how fast it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts import artefacts
from scripts.console import Console, size
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request


def show(console: Console, request: Request, done: Sequence[Done]) -> None:
    """Print artefacts with size and SHA-256, the stages' times, accuracy and simulated latency."""
    console.table(f"artefacts under {request.root}", _artefacts(done))
    console.table("stages", [_stage_row(one) for one in done])
    rows = _figures(request)
    if rows:
        console.table(f"{request.model.name} {request.precision.name}", rows)
    if request.synthetic:
        console.note("the weights are random numbers: every artefact is marked synthetic")


def report(path: Path) -> dict[str, Any]:
    """Read a JSON report that a stage wrote, or return nothing where it did not run."""
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def _artefacts(done: Sequence[Done]) -> list[tuple[str, ...]]:
    outputs = {name: kept for one in done for name, kept in one.manifest["outputs"].items()}
    pictures = (".raw", ".rgb", ".png")
    shown = {name: kept for name, kept in outputs.items() if not name.endswith(pictures)}
    return [(size(kept["size"]), kept["sha256"], name) for name, kept in shown.items()]


def _stage_row(done: Done) -> tuple[str, ...]:
    usage = done.manifest.get("usage", {})
    memory = size(usage.get("peak_memory_bytes", 0))
    time = f"{done.manifest['seconds']:.1f} s" if done.ran else "skipped"
    return (done.stage.name, time, memory if done.ran else "")


def _figures(request: Request) -> list[tuple[str, ...]]:
    precision = request.precision.name
    accuracy = report(request.root / artefacts.verify_report(precision))
    profile = report(request.root / artefacts.profile_report(precision))
    gate = accuracy.get("gate", {})
    rows: list[tuple[str, ...]] = [
        (name, f"{value:.6g}", f"gate {gate[name]}" if name in gate else "")
        for name, value in accuracy.get("figures", {}).items()
    ]
    rows += [
        (f"accuracy, {who}", f"{value:.4f}", "")
        for who, value in accuracy.get("accuracy", {}).items()
    ]
    if profile:
        rows.append(("simulated time", f"{profile['milliseconds']} ms", "on the target, estimated"))
    return rows
