"""Look before a build: engine, image, memory, disk, SDK, weights; and what to do about each."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.text import Text

import docker
from scripts import digests, errors
from scripts.checkpoint import contents
from scripts.console import Console, size
from scripts.errors import PipelineError
from scripts.image import image
from scripts.picture_folder import PictureFolder
from scripts.pipeline import declared_size, engine, fitness, forecast, hub, space
from scripts.pipeline.remote import Remote
from scripts.pipeline.request import Request

# What the image and its build context take in the engine's storage and under build/.
IMAGE_DISK = 12_000_000_000
# Whose repositories ask for a licence to be accepted.
GATED = "facebook"


@dataclass(frozen=True)
class Finding:
    """One check of a part: whether it is well, what it is, and what mends it.

    `warns` says of what is well that a build does without it.
    """

    part: str
    well: bool
    state: str
    remedy: str = ""
    warns: bool = False


def examine(request: Request, *others: Request) -> list[Finding]:
    """Return a finding for everything a build of `request` needs, as far as it is known yet.

    `others` are the same build in other precisions.
    """
    machine = (_processor(_processor_flags()), _disk(request, 1 + len(others)))
    of_network = (_network,) if request.is_open else (_memory, _size, _board)
    network = (check(request) for check in of_network)
    boards = () if request.is_open else (_board(other) for other in others)
    files = (_sdk(request), _weights(request), *_pictures(request))
    findings = [*_engine(request.lane), *machine, *files, *network, *boards, *_cache(request)]
    return list(dict.fromkeys(findings))


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Print the findings, and what mends those that are not well, or a warning.

    Raises:
        PipelineError: names the parts that are not well.
    """
    console.table("doctor", [(_mark(row), row.part, row.state) for row in findings])
    console.result(findings=[asdict(row) for row in findings])
    unfit = [row for row in findings if not row.well]
    for row in (row for row in findings if row.warns or not row.well):
        console.note(f"{row.part}: {row.remedy}")
    if unfit:
        raise PipelineError(f"Not fit for this build: {', '.join(row.part for row in unfit)}.")


def _mark(finding: Finding) -> Text:
    if not finding.well:
        return Text("FAIL", style="bold red")
    return Text("warn", style="yellow") if finding.warns else Text("ok", style="green")


def _engine(lane: str) -> list[Finding]:
    remedy = "`make build` installs and starts one on Debian as root; else install Docker Engine"
    try:
        client = engine.connect(start=False)
    except PipelineError as error:
        return [Finding("engine", False, error.what, error.remedy or remedy)]
    try:
        traits = engine.traits(client)
    except PipelineError as error:
        return [Finding("engine", False, error.what, error.remedy)]
    return [Finding("engine", True, engine.describe(traits)), _image(client, lane)]


def _image(client: docker.DockerClient, lane: str) -> Finding:
    try:
        reference = image.require_reference(lane)
    except PipelineError as error:
        return Finding("image", False, error.what, error.remedy)
    present = image.find(client, lane)
    if present is None and reference:
        return Finding("image", True, f"lane {lane}: will be pulled, {reference}")
    if present is None:
        return Finding("image", False, f"lane {lane}: not built yet", "`invoke image.build`")
    return Finding("image", True, f"{present.tag}, {size(present.size)}, {present.content_digest}")


def _memory(request: Request) -> Finding:
    needed, free = forecast.memory(request.model), forecast.available_memory()
    if request.memory:
        free = min(free, int(request.memory * 10**9))
    state = f"{size(free)} free, {size(needed)} needed"
    remedy = "close other programs, raise --memory, or use a larger machine"
    return Finding("memory", free >= needed, state, remedy)


def _processor(flags: Collection[str]) -> Finding:
    lacks = "no AVX2: the same binaries, figures of verify may differ from those recorded"
    return Finding("processor", True, "AVX2" if "avx2" in flags else lacks)


def _processor_flags() -> list[str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split() for line in lines if line.startswith("flags")), [])


def _disk(request: Request, precisions: int = 1) -> Finding:
    network = 0 if request.is_open else space.missing(request, precisions)
    needed, folder = network + IMAGE_DISK, space.existing(request.build_dir)
    try:
        space.require_writable(request)
    except OSError as error:
        refusal = errors.named(error) or PipelineError(f"{folder}: {error}.")
        return Finding("disk", False, refusal.what, refusal.remedy)
    free = space.free(folder)
    state = f"{size(free)} free at {folder}, {size(needed)} needed"
    return Finding("disk", free >= needed, state, "free some space or give another --build-dir")


def _sdk(request: Request) -> Finding:
    if request.sdk is None:
        return Finding("SDK", True, "openqnn, in the image (no official SDK given with --sdk)")
    return Finding("SDK", True, f"official, {request.sdk}")


def _weights(request: Request) -> Finding:
    if request.synthetic:
        return Finding("weights", True, f"{request.weights}: synthetic, features mean nothing")
    if hub_id := request.hub_id:
        try:
            hub.require_ways()
        except PipelineError as error:
            return Finding("weights", False, error.what, error.remedy)
        remedy = "accept the licence on the model's page, then set HF_TOKEN; or give --weights DIR"
        token = hub.token()
        state = f"{hub_id.repository} from the hub, {'with' if token else 'without'} a token"
        return Finding("weights", bool(token) or hub_id.owner != GATED, state, remedy)
    path = request.weights_path
    if path is None:
        return Finding("weights", False, "none", "give --weights")
    try:
        weights = contents.look(path)
        weights.require_sound()
        parts = weights.summary(request.model), weights.remainder, request.head_misfit
        state = "; ".join(filter(None, parts))
        return Finding("weights", True, state)
    except PipelineError as error:
        return Finding("weights", False, error.what, error.remedy)


def _network(request: Request) -> Finding:
    """Say when it will be known what a repository holds, of which nothing says the model."""
    state = f"known once it is fetched: `invoke fetch --weights {request.weights}`, or say --model"
    return Finding("network", True, state)


def _size(request: Request) -> Finding:
    """Say the size of the input, and what says so."""
    path = request.weights_path
    says = declared_size.read(path) if path else declared_size.DeclaredSize()
    if request.texts.get("size"):
        origin = f"as --size says; the weights' files say {says.size}" if says.size else "--size"
    elif request.hub_id:
        origin = "unless the files on the hub say another"
    else:
        origin = says.disagreement or says.origin or f"the usual size of {request.model.name}"
    return Finding("size", True, f"{request.size.height} x {request.size.width} pixels: {origin}")


def _pictures(request: Request) -> Iterator[Finding]:
    """Look at some pictures as `calibrate` does."""
    from scripts.pictures import collector  # slow to import: not for every command

    folders = {"pictures": request.images, "held-out pictures": request.heldout}
    for part, folder in folders.items():
        if folder:
            pictures = PictureFolder.read(folder)
            with tempfile.TemporaryDirectory() as scratch:
                sample = collector.examined(pictures, request.size, Path(scratch))
            state = f"{sample.summary}; {folder} has {len(pictures.pictures)}"
            state += "; --heldout is the same folder" if request.has_one_folder else ""
            remedy = f"give --{'images' if folder == request.images else 'heldout'} real pictures"
            yield Finding(part, bool(sample.taken), state, remedy)


def _cache(request: Request) -> list[Finding]:
    """Whether the shared cache answers as one does; a build does without one that does not."""
    if not request.cache:
        return []
    notes: list[str] = []
    try:
        Remote(request.cache, notes.append).result(digests.of_bytes(b""))  # of no stage
    except PipelineError as error:
        return [Finding("cache", False, error.what, error.remedy)]
    if notes:
        remedy = "start it, mend --cache, or leave it out"
        return [Finding("cache", True, notes[0], remedy, warns=True)]
    return [Finding("cache", True, f"{request.cache} answers")]


def _board(request: Request) -> Finding:
    """Whether the network can be a context of the board, in that precision."""
    reason = fitness.misfit(request)
    state = reason or request.target.description
    return Finding("board", not reason, state, fitness.remedy(request))
