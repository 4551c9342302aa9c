"""dinov3-qnn: from a PyTorch DINOv3 checkpoint to a verified Hexagon binary, in one command.

Every task is thin: it checks what was asked, plans, and hands over to `scripts/pipeline`. The
options of a build stand in `scripts/pipeline/build_options.py`.

A task imports what it works with when it runs: help needs no engine, and a build no SSH, whose
libraries take longer to load than a build with nothing to do.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Collection, Task

from scripts.console import Console
from scripts.errors import UsageError
from scripts.pipeline import options, plan, storage
from scripts.pipeline import request as requests
from scripts.pipeline.command import BUILD, OUTPUT, command
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request
from scripts.sweep.point import SHARED
from scripts.words import excerpt

if TYPE_CHECKING:
    from scripts.pipeline.build import Builder
    from scripts.pipeline.session import Finish

DEVICE = "names or groups in devices.toml, separated by commas"
ARCHIVE = "archive to deploy; without it, that of `make build`"
SIGNERS = "allowed_signers file; with it, the archive must be signed by one of them"
ALL = "Build everything: checkpoint to verified context binary, skipping what is whole already."
UNSIGNED = [name for name in BUILD if name != "sign"]


def _stage_task(verb: str) -> Task[Any, Any]:
    """Return a task that brings one stage, and all it depends on, up to date."""

    @command(
        takes=BUILD,
        several=True,
        output=OUTPUT,
        name=verb,
        text=ALL if verb == "build" else plan.says(verb),
    )
    def run(console: Console, requests: list[Request]) -> None:
        from scripts.package import weights as checkpoints
        from scripts.pipeline import session, space

        plans = [(request, _planned(request, verb)) for request in requests]
        if requests[0].hub_id and verb != "fetch":
            builder = _builder(console, requests[0])
            requests = [session.fetched(builder, request) for request in requests]
            plans = [(request, _planned(request, verb)) for request in requests]
        request, stages = plans[0]
        packs = stages[-1].verb == "package"
        if packs and request.weights_path:  # refused now rather than in the end
            checkpoints.licences(request.model, str(_folder(request.weights_path)))
        if packs:
            space.require(request, len(plans))
        signs = _signed(console) if packs and request.sign else lambda _: {}
        exports = any(stage.verb == "export" for stage in stages)
        session.run_together(_builder(console, request, exports=exports), plans, signs)

    return run


def _signed(console: Console) -> Finish:
    return lambda request: _sign(console, request.archive, request.sign) if request.sign else {}


def _sign(console: Console, archive: Path, key: Path) -> dict[str, str]:
    from scripts.package import attest, signature

    signed, attested = signature.sign(archive, key), attest.attest(archive, key)
    console.note(f"signature: {signed}")
    console.note(
        f"signed provenance: {attested}"
        if attested
        else "no signed provenance: agents and security tokens sign the archive only"
    )
    return {"signature": str(signed), "provenance": str(attested or "")}


def _planned(request: Request, verb: str) -> list[Stage]:
    return plan.stages(request) if verb == "build" else plan.up_to(request, verb)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _builder(console: Console, request: Request, *, exports: bool = True) -> Builder:
    from scripts.pipeline import session, space

    if exports:
        session.require_sound(request)
    space.prepare(request)
    session.require_ways(request)
    return session.builder(console, lane=request.lane, memory_gb=request.memory)


@command(
    takes=UNSIGNED,
    help={
        "vary": "also with one core, another locale, an older processor and more: a build for each"
    },
)
def reproduce(console: Console, request: Request, vary: bool = False) -> None:
    """Build twice, in other folders and at other times, and compare every byte."""
    from scripts.pipeline import reproduce as reproduction
    from scripts.pipeline import session, variations

    for text in variations.left_out() if vary else ():
        console.note(text)
    builder = _builder(console, request)
    under = list(variations.every()) if vary else [variations.ELSEWHERE]
    reproduction.run(builder, session.fetched(builder, request), under)


@command(
    takes=("sign", "sdk", "build_dir"),
    output=OUTPUT,
    help={
        "archive": "published archive",
        "inputs": "folders with its weights and pictures, found by SHA-256, separated by commas",
        "signers": SIGNERS,
        "fetch": "fetch its weights from the hub even where no model of the catalog has them there",
    },
)
def rebuild(
    console: Console,
    request: Request,
    archive: str,
    inputs: str | None = None,
    signers: str | None = None,
    fetch: bool = False,
) -> None:
    """Rebuild a published archive by the commit that made it, and compare file by file."""
    from scripts.pipeline import rebuild as rebuilding

    places = [_path(text) for text in (inputs or "").split(",") if text]
    allowed = [_path(signers)] if signers else []
    rebuilding.run(console, request, _path(archive), places, allowed, fetches=fetch)


@command(takes=UNSIGNED, several=True, output=OUTPUT)
def doctor(console: Console, requests: list[Request]) -> None:
    """Check engine, image, memory, disk, SDK, weights, pictures; say what to do about each."""
    from scripts.pipeline import doctor as examination

    examination.show(console, examination.examine(*requests))


@command(
    output=(),
    help={
        "fast": "only what needs no engine: linter, types, unit tests",
        "slow": "only what all tests leave out: ViT-S in every precision, minutes each",
        "only": "one folder, file or test (FILE::NAME), on the host or in the image as it needs",
    },
)
def test(console: Console, fast: bool = False, slow: bool = False, only: str | None = None) -> None:
    """Run all tests: unit, image, and builds of digits from end to end."""
    from scripts.pipeline import suites

    if only:
        suites.only(console, only)
        return
    run = suites.fast if fast else suites.slow if slow else suites.everything
    run(console)


@command(
    takes=("model", "size", "weights", "target", "lane"),
    defaults={"model": "vith16plus", "weights": "random"},
    help={"precisions": "fp16, int8, w8a16, separated by commas", "out": "JSON file to write"},
)
def bench(
    console: Console,
    request: Request,
    precisions: str = "int8,w8a16,fp16",
    out: str = "build/bench.json",
) -> None:
    """Time every stage with its peak memory, beside the plain ONNX Runtime recipe."""
    from scripts.bench import bench as benchmark
    from scripts.pipeline import session

    names, file = precisions.split(","), _path(out)
    benchmark.check(request, names, file)
    builder = _builder(console, request)
    request = session.fetched(builder, request)
    benchmark.run(builder, request, names, file)


@command(
    takes=SHARED,
    output=OUTPUT,
    help={
        "file": "TOML file with the grid, as docs/sweeps.md says",
        "jobs": "builds that run at once here, at most; without it, as many as there are cores",
        "scheduler": "address of a Dask scheduler, tcp://HOST:PORT: its workers build",
        "hosts": "file that names hosts, one a line as ssh knows it: they build",
    },
)
def sweep(
    console: Console,
    request: Request,
    file: str,
    jobs: str | None = None,
    scheduler: str | None = None,
    hosts: str | None = None,
) -> None:
    """Build every point of a grid, try each on boards where it names any, say which are best."""
    from scripts.sweep import grid, trials
    from scripts.sweep import sweep as sweeping

    points = grid.load(_path(file), request.texts)
    runner = sweeping.runner(console, jobs=jobs, scheduler=scheduler, hosts=hosts)
    crew = trials.crew(console, points)
    if not (scheduler or hosts):
        _builder(console, request)  # an image that is missing is made once
    elif not request.cache_write:
        console.note(
            "no --cache-write: machines share what they build only in a shared --build-dir"
        )
    sweeping.run(console, points, runner, crew)


@command(takes=("build_dir",), name="show", output=OUTPUT)
def cache_show(console: Console, request: Request) -> None:
    """Show what was built before and is kept, which of it is in use, and its size."""
    storage.show(console, request.build_dir)


@command(
    takes=("build_dir",),
    name="gc",
    output=OUTPUT,
    help={
        "keep_days": "remove results that were last used longer ago",
        "max_size": "remove the oldest until the rest takes so much: 500MB, 20GB",
    },
)
def cache_gc(
    console: Console,
    request: Request,
    keep_days: str | None = None,
    max_size: str | None = None,
) -> None:
    """Remove what was built before; never what a network's folder uses."""
    days = options.checked_text("keep_days", keep_days, options.number("0 or more", _is_count))
    limit = options.checked_text("max_size", max_size, storage.parse_size)
    storage.collect(console, request.build_dir, keep_days=days, max_size=limit)


def _is_count(value: float) -> bool:
    return value >= 0


@command(takes=("lane",), name="build", help={"no_cache": "build every layer again"})
def image_build(console: Console, request: Request, no_cache: bool = False) -> None:
    """Build the image of a lane."""
    from scripts.image import image as images
    from scripts.pipeline import engine

    images.build(engine.connect(), request.lane, no_cache=no_cache)


@command(takes=("lane",), name="reproduce")
def image_reproduce(console: Console, request: Request) -> None:
    """Build the image twice without cache and compare every path, mode, owner, link and byte."""
    from scripts.image import image as images
    from scripts.pipeline import engine

    images.reproduce(engine.connect(), request.lane)


@command(takes=("lane",), name="lock")
def image_lock(console: Console, request: Request) -> None:
    """Refresh the pins of packages, wheels and the content digest."""
    from scripts.image import image as images
    from scripts.pipeline import engine

    images.lock(engine.connect(), request.lane)


@command(takes=("lane", "build_dir"), name="record")
def image_record(console: Console, request: Request) -> None:
    """Record the digests of the image and of digits in three precisions, to compare with."""
    from scripts.pipeline import recorded

    path = recorded.record(_builder(console, request), request.build_dir)
    console.note(f"recorded in {path}")


@command(
    takes=("lane", "sign"),
    name="push",
    help={"reference": "where to push to: HOST/NAME or HOST/NAME:TAG"},
)
def image_push(console: Console, request: Request, reference: str) -> None:
    """Push the image to a registry with its bill of materials, and print what it is pulled by."""
    from scripts.image import publication
    from scripts.pipeline import engine

    pulled_by = publication.push(engine.connect(), request.lane, reference, request.sign)
    console.note(f"pushed; to pull it: DINOV3_QNN_IMAGE={pulled_by}")


@command(output=OUTPUT, help={"archive": "archive that `invoke package` made", "signers": SIGNERS})
def inspect(console: Console, archive: str, signers: str | None = None) -> None:
    """Check every file of an archive against its manifest, and show what it is."""
    from scripts.package import inspection

    inspected = inspection.inspect(_path(archive), _file(signers))
    for title, rows in inspected.tables():
        console.table(title, rows)
    console.result(**inspected.record())


@command(
    output=OUTPUT,
    help={
        "a": "folder that holds a report, archive, or report.html",
        "b": "another one",
        "html": "file to write the comparison to, as a page",
        "markdown": "print it as Markdown",
    },
)
def diff(console: Console, a: str, b: str, html: str | None = None, markdown: bool = False) -> None:
    """Compare two builds: accuracy, time, bytes, widths and ranges of activations, origin."""
    from scripts.pipeline import pages
    from scripts.report import comparison

    file = options.new_file("html", html, replaces=comparison.MARK) if html else None
    compared = comparison.compare(*(comparison.load(_path(text)) for text in (a, b)))
    pages.show(console, compared, markdown=markdown, html=file)


@command(output=OUTPUT, help={"device": DEVICE, "archive": ARCHIVE, "signers": SIGNERS})
def deploy(
    console: Console, device: str, archive: str | None = None, signers: str | None = None
) -> None:
    """Bring an archive into use on boards over SSH: checked, resumable, switched in one step."""
    from scripts import boards

    package = _file(archive) or requests.make().archive
    names = device.split(",")
    boards.deploy(package, names, signers=_file(signers), console=console)


@command(output=OUTPUT, help={"device": DEVICE})
def rollback(console: Console, device: str) -> None:
    """Put boards back to the release before the current one."""
    from scripts import boards

    boards.rollback(device.split(","), console=console)


@command(output=OUTPUT, help={"device": DEVICE})
def remote_verify(console: Console, device: str) -> None:
    """Hash the release in use on boards again, and try it on its golden input."""
    from scripts import boards

    boards.remote_verify(device.split(","), console=console)


@command(name="status", output=OUTPUT, help={"device": DEVICE})
def device_status(console: Console, device: str) -> None:
    """Show what is in use on boards, and what else they hold."""
    from scripts import boards

    boards.status(device.split(","), console=console)


@command(name="trust", output=(), help={"device": "name in devices.toml"})
def device_trust(console: Console, device: str) -> None:
    """Show a board's host key and, if you say so, pin it in devices.toml."""
    from scripts import boards

    print(boards.trust(device, _agreed))


def _agreed(question: str) -> bool:
    print(question, "[y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "y"  # nobody there to ask is a no


def _file(text: str | None) -> Path | None:
    return _path(text) if text else None


def _path(text: str) -> Path:
    try:
        return options.path(text)
    except options.NoPathError as error:
        raise UsageError(f"{excerpt(text)}: {error}.", remedy=error.remedy) from None


namespace = Collection(
    reproduce, rebuild, doctor, test, bench, sweep, inspect, deploy, rollback, remote_verify
)
for verb in ("build", *plan.verbs()):
    namespace.add_task(_stage_task(verb))
namespace.add_task(diff)
namespace.add_collection(
    Collection(image_build, image_reproduce, image_lock, image_record, image_push), name="image"
)
_cache = Collection("cache")
_cache.add_task(cache_show, default=True)
_cache.add_task(cache_gc)
namespace.add_collection(_cache)
namespace.add_collection(Collection(device_status, device_trust), name="device")
