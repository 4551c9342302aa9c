"""The end of a build: its artefacts, how long it took, how exact and how fast it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from scripts import artefacts
from scripts.console import Console, size
from scripts.console import record as console_record
from scripts.errors import GateError, PipelineError
from scripts.pipeline.build import Built, Done
from scripts.pipeline.request import Request

# Files that come by the hundred, one a picture.
PICTURES = (".raw", ".rgb", ".png")
# The figures of `verify` that precisions are compared by; of other outputs than tokens, none.
_COMPARED = ("cls_mean", "patch_mean")
HEADER = ("precision", "ended", *_COMPARED, "simulated", "context", "archive")


def show(console: Console, request: Request, steps: Sequence[Done]) -> None:
    """Print artefacts with size and SHA-256, the stages' times, accuracy and simulated latency."""
    files = _artefacts(steps).items()
    rows = [(size(file["size"]), file["sha256"], name) for name, file in files]
    console.table(f"artefacts under {request.root}", rows, ("size", "sha256", "file"))
    stages = [_stage_row(step) for step in steps]
    console.table("stages", stages, ("stage", "time", "peak memory"))
    if rows := _figures(**_reports(request, steps)):
        console.table(f"{request.model.name} {request.precision.name}", rows)
    if request.synthetic:
        console.note("the weights are random numbers: every artefact is marked synthetic")


def record(request: Request, steps: Sequence[Done]) -> dict[str, Any]:
    """Return what a build came to, for programs: docs/options.md names the fields."""
    files = _artefacts(steps)
    archive = str(request.archive.relative_to(request.root))
    return {
        "model": request.model.name,
        "precision": request.precision.name,
        "target": request.target.name,
        "pixels": [request.size.height, request.size.width],
        "synthetic": request.synthetic,
        "archive": _file_record(request, archive, files[archive]) if archive in files else None,
        "artefacts": [_file_record(request, name, file) for name, file in files.items()],
        "stages": [_stage_record(step) for step in steps],
        **_reports(request, steps),
    }


def failure(request: Request, error: PipelineError) -> dict[str, Any]:
    """Return what is told to programs of a build, among several, that did not become whole."""
    return {
        "model": request.model.name,
        "precision": request.precision.name,
        "target": request.target.name,
        "error": console_record(error, []),
    }


def show_together(console: Console, requests: Sequence[Request], results: Sequence[Built]) -> None:
    """Print the time of every stage once, and a row on what each build came to."""
    steps = {step.stage.name: step for built in results for step in built.steps}
    rows = [_stage_row(step) for step in steps.values()]
    failed = dict.fromkeys(built.failed for built in results if built.failed)
    rows += [(name, Text("failed", style="bold red"), "") for name in failed]
    console.table("stages", rows, ("stage", "time", "peak memory"))
    pairs = list(zip(requests, results, strict=True))
    rows = [_build_row(request, built) for request, built in pairs]
    console.table(title(requests[0]), rows, HEADER)
    for request, built in pairs:
        if built.error:
            console.note(f"{request.precision.name}: {built.error.what}")
    if requests[0].synthetic:
        console.note("the weights are random numbers: every artefact is marked synthetic")


def title(request: Request) -> str:
    """Return what several builds have in common: the network, and the board."""
    return f"{request.network}, {request.target.name}"


def plain_rows(requests: Sequence[Request], results: Sequence[Built]) -> list[list[str]]:
    """Return a row on each of several builds, under `HEADER` and the archive's SHA-256."""
    return [
        [*map(str, _build_row(request, built)), _archive_sha256(request, built)]
        for request, built in zip(requests, results, strict=True)
    ]


def _archive_sha256(request: Request, built: Built) -> str:
    archive = str(request.archive.relative_to(request.root))
    file = None if built.error else _artefacts(built.steps).get(archive)
    return file["sha256"] if file else "-"


def _build_row(request: Request, built: Built) -> tuple[str | Text, ...]:
    """Return what people compare builds by; `-` where a build did not come to it."""
    reports, files = _reports(request, built.steps), _artefacts(built.steps)
    if isinstance(built.error, GateError) and built.error.measured:
        reports = measured(request, built.error.measured)
    figures = reports["verify"].get("figures", {})
    context = files.get(str(artefacts.context_binary(request.precision.name)))
    time = reports["profile"].get("milliseconds")
    return (
        request.precision.name,
        _ending(built.error),
        *(f"{figures[name]:.6f}" if name in figures else "-" for name in _COMPARED),
        f"{time} ms" if time else "-",
        size(context["size"]) if context else "-",
        request.archive.name if not built.error and request.archive.is_file() else "-",
    )


def _ending(error: PipelineError | None) -> Text:
    if error is None:
        return Text("whole", style="green")
    text = "misses its gate" if isinstance(error, GateError) else type(error).__name__
    return Text(f"{text}, exit code {error.exit_code}", style="bold red")


def lines(request: Request, steps: Sequence[Done]) -> str:
    """Return what --quiet prints, as `sha256sum` does: the files of the last stage."""
    files = _artefacts(steps[-1:]).items()
    return "\n".join(f"{file['sha256']}  {request.root / name}" for name, file in files)


def report(path: Path) -> dict[str, Any]:
    """Read a JSON report that a stage wrote, or return nothing where it did not run."""
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def measured(request: Request, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the reports of a build that missed its gate; `folder` has what was measured then."""
    precision = request.precision.name
    return {
        "verify": report(folder / artefacts.verify_report(precision)),
        "profile": report(request.root / artefacts.profile_report(precision)),
    }


def _reports(request: Request, steps: Sequence[Done]) -> dict[str, dict[str, Any]]:
    """Return the reports of the stages that are among `steps`: older ones tell of other builds."""
    paths = {"verify": artefacts.verify_report, "profile": artefacts.profile_report}
    verbs = {step.stage.verb for step in steps}
    return {
        verb: report(request.root / path(request.precision.name)) if verb in verbs else {}
        for verb, path in paths.items()
    }


def _artefacts(steps: Sequence[Done]) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 by name of what stages wrote, pictures left out."""
    files = (item for step in steps for item in step.manifest["outputs"].items())
    return {name: file for name, file in files if not name.endswith(PICTURES)}


def _file_record(request: Request, name: str, file: dict[str, Any]) -> dict[str, Any]:
    return {"path": str(request.root / name), "size": file["size"], "sha256": file["sha256"]}


def _stage_record(step: Done) -> dict[str, Any]:
    usage = step.manifest.get("usage", {})
    return {
        "name": step.stage.name,
        "ran": step.ran,
        "restored": step.restored,
        "seconds": step.manifest["seconds"],
        "peak_memory_bytes": usage.get("peak_memory_bytes", 0),
    }


def _stage_row(step: Done) -> tuple[str | Text, ...]:
    cost = _stage_record(step)
    if not step.ran:
        how = f"from {step.origin}" if step.restored else "skipped"
        return (step.stage.name, Text(how, style="dim"), "")
    return (step.stage.name, f"{cost['seconds']:.1f} s", size(cost["peak_memory_bytes"]))


def _figures(verify: dict[str, Any], profile: dict[str, Any]) -> list[tuple[str, str, str]]:
    gate = verify.get("gate", {})
    rows = [
        (name, f"{value:.6g}", _bound(value, gate[name]) if name in gate else "")
        for name, value in verify.get("figures", {}).items()
    ]
    rows += [
        (f"accuracy, {network}", f"{value:.4f}", "")
        for network, value in verify.get("accuracy", {}).items()
    ]
    if profile:
        rows.append(_time(profile))
    return rows


def _time(profile: dict[str, Any]) -> tuple[str, str, str]:
    if profile["milliseconds"] is None:
        return "simulated time", "-", profile["no_estimate"]
    return "simulated time", f"{profile['milliseconds']} ms", "on the target, estimated"


def _bound(value: float, bound: float) -> str:
    return f"gate {bound}" if value >= bound else f"MISSES its gate {bound}"
