"""One command's connection to engine and image, and the build it runs there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from scripts import catalog
from scripts.console import Console
from scripts.errors import GateError
from scripts.image import image, lanes
from scripts.pipeline import (
    alternatives,
    declared_size,
    engine,
    hub,
    pages,
    plan,
    recorded,
    summary,
)
from scripts.pipeline.build import Builder
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store


def builder(
    console: Console | None = None, *, lane: str = lanes.DEFAULT, memory_gb: float = 0
) -> Builder:
    """Return a builder on the running engine, with the image present; makes what is missing."""
    client = engine.connect()
    return Builder(
        client=client,
        image=image.ensure(client, lane),
        console=console or Console(),
        memory_bytes=int(memory_gb * 10**9),
    )


def require_ways(request: Request) -> None:
    """Refuse, before an image is built, proxies that weights of the hub cannot be fetched through.

    Raises:
        UsageError: as `hub.require_ways`.
    """
    if request.hub_id and not Store(request.root).manifest("fetch"):
        hub.require_ways()


def fetched(builder: Builder, request: Request) -> Request:
    """Return a request whose weights are on this machine: those of the hub are fetched."""
    if not request.hub_id:
        return request
    builder.build(request, plan.up_to(request, "fetch"))
    known = request.fetched()
    builder.console.note(f"weights: {request.hub_id.repository}, {known.model.name}")
    return known


def measured_elsewhere(request: Request, verbs: Collection[str]) -> str:
    """Return which stages take the times of another target, and why; empty where none does."""
    target, texts = request.target, []
    if "lower" in verbs and target.arch != catalog.MEASURED_ARCH:
        texts.append(f"lower applies what was measured for {catalog.MEASURED_ARCH}")
    if "quantize" in verbs and target.timed_by and request.precision.activations == 8:
        texts.append(
            f"quantize chooses by the times of {target.timed_by}: "
            "the compiler has no estimate for this SoC"
        )
    return f"{target.description}: {'; '.join(texts)}" if texts else ""


def run(builder: Builder, request: Request, stages: Sequence[Stage]) -> None:
    """Bring stages up to date, and show what they come to."""
    if request.size != request.model.picture_size:
        builder.console.note(f"pictures of {request.size.height} x {request.size.width} pixels")
    directory = request.weights_path
    if directory and (disagreement := declared_size.read(directory).disagreement):
        builder.console.note(disagreement)
    if text := measured_elsewhere(request, {stage.verb for stage in stages}):
        builder.console.note(text)
    try:
        steps = builder.build(request, stages)
    except GateError as error:
        if error.measured:
            _show_measured(builder, request, error.measured)
            if text := alternatives.line(request):
                builder.console.note(text)
        if request.archive.is_file():
            builder.console.note(f"{request.archive} is of a build before this one")
        raise
    summary.show(builder.console, request, steps)
    if stages[-1].verb == "package" and (text := recorded.verdict(builder.image, request, steps)):
        builder.console.note(text)
    page = pages.write(builder.image, request, steps, builder.console.note)
    if page:
        builder.console.note(f"to look at: {page}")
    record = {**summary.record(request, steps), "report": str(page) if page else None}
    builder.console.result(summary.lines(request, steps), **record)


def _show_measured(builder: Builder, request: Request, folder: Path) -> None:
    """Say where to find what was measured before the gate was missed, and show it as a page."""
    builder.console.note(f"what was measured: {folder}")
    page = pages.write_failed(builder.image, request, folder, builder.console.note)
    if page:
        builder.console.note(f"to look at: {page}")
    reports = summary.measured(request, folder)
    builder.console.result("", **reports, report=str(page) if page else None)
