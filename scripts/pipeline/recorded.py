"""The digests in the repository: what the image and the builds of digits come to, everywhere.

`docker/locks/<lane>.digest` has them. They hold for the image's inputs that it names; where those
were edited since, nothing is recorded, and nothing is compared. After a stage was edited on
purpose, `invoke image.record` writes the file again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scripts.image import lanes, locks
from scripts.image.image import Image
from scripts.package import package, provenance, sbom
from scripts.package.manifest import MANIFEST, PAGE, SUMS
from scripts.pipeline import facts, plan
from scripts.pipeline import request as requests
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request

PRECISIONS = ("int8", "w8a16", "fp16")
# Folders of artefacts that are compared; a package is compared file by file.
_FOLDERS = ("models/", "libs/", "final_binary/")
# Files of a package that name the commit it was made from, or their digests.
_OF_THE_COMMIT = (provenance.FILE, sbom.FILE, PAGE, MANIFEST, SUMS)

Digests = Mapping[str, str]


def artefacts(request: Request, steps: Sequence[Done]) -> dict[str, str]:
    """Return the SHA-256 of every artefact that is recorded, by name, in the order of the chain."""
    outputs = (item for step in steps for item in step.manifest["outputs"].items())
    digests = {name: file["sha256"] for name, file in outputs if name.startswith(_FOLDERS)}
    return {**digests, **_package(request.archive)}


def verdict(image: Image, request: Request, steps: Sequence[Done]) -> str:
    """Return whether a build is as recorded, in a sentence; empty where no digest is kept of such.

    The first difference is named in the order of the chain, since all that follows differs too.
    """
    if request.precision.name not in PRECISIONS or not _is_plain(request):
        return ""
    known = locks.recorded(lanes.load(image.lane))
    if known.get("inputs") != image.inputs_digest:
        return f"not recorded for these inputs of the image: {image.inputs_digest}"
    if known["content"] != image.content_digest:
        return (
            f"the image differs from what is recorded: {image.content_digest}, not"
            f" {known['content']}; something that the locks do not hold is in it:"
            " `invoke image.reproduce` finds whether it is this machine"
        )
    if request.precision.name not in known:
        return f"nothing is recorded for {request.precision.name}: `invoke image.record`"
    actual = artefacts(request, steps)
    if name := difference(known[request.precision.name], actual):
        return (
            f"{name} differs from what is recorded: a stage was edited since, or this machine"
            " computes otherwise (`invoke reproduce` tells whether it repeats itself)."
            " After an edit on purpose: `invoke image.record`"
        )
    return f"as recorded: the image and all {len(actual)} artefacts"


def difference(known: Digests, actual: Digests) -> str:
    """Return the name of the first artefact that differs, or that one side alone has."""
    names = [*actual, *(name for name in known if name not in actual)]
    return next((name for name in names if known.get(name) != actual.get(name)), "")


def record(builder: Builder, build_dir: Path) -> Path:
    """Build digits in three precisions, and record what they and the image come to."""
    lane = lanes.load(builder.image.lane)
    known: dict[str, dict[str, str]] = {}
    for precision in PRECISIONS:
        request = requests.make(precision=precision, build_dir=str(build_dir), lane=lane.name)
        known[precision] = artefacts(request, builder.build(request, plan.stages(request)))
    return locks.record(lane, builder.image.inputs_digest, builder.image.content_digest, known)


def _is_plain(request: Request) -> bool:
    """Tell whether a build is of digits, with every option that changes a byte at its default."""
    plain = requests.make(precision=request.precision.name)
    where = {name: getattr(plain, name) for name in (*facts.HOW, "lane", "gate")}
    return replace(request, **where) == plain


def _package(archive: Path) -> dict[str, str]:
    checked, _ = package.read(archive)
    name = archive.name.removesuffix(".tar.gz")
    entries = (entry for entry in checked.entries if entry.path not in _OF_THE_COMMIT)
    return {f"{name}/{entry.path}": entry.sha256 for entry in entries}
