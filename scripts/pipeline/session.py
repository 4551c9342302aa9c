"""One command's connection to engine and image, and the build it runs there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts import catalog
from scripts.checkpoint import contents
from scripts.console import Console
from scripts.errors import GateError, PipelineError
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
from scripts.pipeline.build import Builder, Built
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


def require_sound(request: Request) -> None:
    """Refuse damaged weights before an image is built and pictures are read.

    Weights from which something was exported are left to `export`, which looks before it traces.

    Raises:
        CheckpointError: as `Contents.require_sound`.
    """
    path = request.weights_path
    if path and request.weights != "builtin" and not Store(request.root).manifest("export"):
        contents.look(path).require_sound()


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


# What is done with a build that is whole, and what a program is told of it.
Finish = Callable[[Request], Mapping[str, Any]]
Plan = tuple[Request, Sequence[Stage]]


def run(builder: Builder, request: Request, stages: Sequence[Stage]) -> None:
    """Bring the stages of one build up to date, and show what they come to.

    Raises:
        PipelineError: why they did not.
    """
    run_together(builder, [(request, stages)])


def run_together(builder: Builder, plans: Sequence[Plan], finish: Finish = lambda _: {}) -> None:
    """Bring builds of one network up to date, and show what each comes to.

    Args:
        builder: the engine, the image, and who is told.
        plans: what is built, each with its stages.
        finish: what is done with each that is whole.

    Raises:
        PipelineError: why the first did not become whole; the others are built and shown before.
    """
    _say_before(builder.console, plans)
    results = builder.build_together(plans)
    whole = [(*plan, built) for plan, built in zip(plans, results, strict=True) if not built.error]
    documents = [
        _closed(builder, *plan, built, alone=len(plans) == 1)
        for plan, built in zip(plans, results, strict=True)
    ]
    if len(plans) > 1:
        requests = [request for request, _ in plans]
        summary.show_together(builder.console, requests, results)
        pages.add_together(requests, results, builder.console.note)
    lines = [summary.lines(request, built.steps) for request, _, built in whole]
    _tell(builder.console, "\n".join(lines), documents)
    for document, (request, _), built in zip(documents, plans, results, strict=True):
        if not built.error:
            document |= finish(request)
            _tell(builder.console, builder.console.line, documents)
    if errors := [built.error for built in results if built.error]:
        raise errors[0]


def _say_before(console: Console, plans: Sequence[Plan]) -> None:
    """Say once what is unusual about the builds."""
    texts = [text for request, stages in plans for text in _unusual(request, stages)]
    for text in dict.fromkeys(texts):
        console.note(text)


def _unusual(request: Request, stages: Sequence[Stage]) -> Iterator[str]:
    if request.size != request.model.picture_size:
        yield f"pictures of {request.size.height} x {request.size.width} pixels"
    directory = request.weights_path
    if directory and (disagreement := declared_size.read(directory).disagreement):
        yield disagreement
    if request.has_one_folder:
        yield "--heldout is the folder of --images: some of its pictures are held out"
    if misfit := request.head_misfit:
        yield misfit
    if text := measured_elsewhere(request, {stage.verb for stage in stages}):
        yield text


def _closed(
    builder: Builder, request: Request, stages: Sequence[Stage], built: Built, *, alone: bool
) -> dict[str, Any]:
    """Show what a build came to, and return it for programs."""
    if built.error:
        document = _missed(builder, request, built.error)
        return document if alone else summary.failure(request, built.error) | document
    if alone:
        summary.show(builder.console, request, built.steps)
    whole = stages[-1].verb == "package"
    if whole and (text := recorded.verdict(builder.image, request, built.steps)):
        builder.console.note(text)
    page = pages.write(builder.image, request, built.steps, builder.console.note)
    if page:
        builder.console.note(f"to look at: {page}")
    document = {**summary.record(request, built.steps), "report": str(page) if page else None}
    return document if alone else {**document, "error": None}


def _missed(builder: Builder, request: Request, error: PipelineError) -> dict[str, Any]:
    """Show what a build measured that missed its gate, if it did, and what stands from before."""
    if not isinstance(error, GateError):
        return {}
    document: dict[str, Any] = {}
    if error.measured:
        page = _show_measured(builder, request, error.measured)
        reports = summary.measured(request, error.measured)
        document |= {**reports, "report": str(page) if page else None}
        if text := alternatives.line(request):
            builder.console.note(text)
    if request.archive.is_file():
        builder.console.note(f"{request.archive} is of a build before this one")
    return document


def _show_measured(builder: Builder, request: Request, folder: Path) -> Path | None:
    """Say where to find what was measured before the gate was missed, and show it as a page."""
    builder.console.note(f"what was measured: {folder}")
    page = pages.write_failed(builder.image, request, folder, builder.console.note)
    if page:
        builder.console.note(f"to look at: {page}")
    return page


def _tell(console: Console, line: str, documents: Sequence[dict[str, Any]]) -> None:
    """Give a program one document: that of a build by itself, or a list of them."""
    if len(documents) == 1:
        console.result(line, **documents[0])
    else:
        console.result(line, builds=list(documents))
