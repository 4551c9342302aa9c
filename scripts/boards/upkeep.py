"""What is done with the releases on one board after a deployment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from scripts.boards import golden, measured, releases
from scripts.boards.board import Board
from scripts.boards.connection import connected
from scripts.boards.lock import locked
from scripts.boards.login import Login
from scripts.boards.probe import probe
from scripts.boards.survey import Survey, survey
from scripts.boards.upload import check
from scripts.console import size
from scripts.errors import ArtefactError, DeviceError
from scripts.package.manifest import MANIFEST, SUMS, Manifest
from scripts.package.package import Package, from_documents

# What to do where the network in use gives wrong results.
REMEDY = (
    "go back to the release before it with `invoke rollback`, or deploy another archive; "
    "`invoke device.status` shows what is there"
)
Say = Callable[[str], None]
_DOCUMENT_LIMIT = 4 << 20
STATUS_COLUMNS = (
    "in use",
    "digest",
    "simulated",
    "measured",
    "others",
    "uploads",
    "deploying",
    "free",
    "glibc",
    "board",
)


async def rollback(login: Login, say: Say) -> tuple[str, ...]:
    """Put a board back to the release before the current one.

    Raises:
        DeviceError: there is none, or it is damaged; the current one stays.
    """
    async with connected(login) as board, locked(board, say):
        there = await survey(board)
        digest = releases.previous(board.device.name, there)
        package = await _whole(board, digest)
        await releases.activate(board, digest, [], releases.retreat(there, digest))
    return (f"{_short(there.current)} -> {_short(digest)} ({package.manifest.name})",)


async def verify(login: Login, say: Say) -> tuple[str, ...]:
    """Hash the current release again, and try its network where the package can.

    Raises:
        DeviceError: nothing is deployed, or a file is damaged.
        GateError: the network gives wrong results.
    """
    async with connected(login) as board:
        digest = (await survey(board)).current
        if not digest:
            raise DeviceError(f"Nothing is deployed on {board.device.name}.")
        package = await _whole(board, digest)
        verdict = f"{_short(digest)} ({package.manifest.name}) is whole"
        if not golden.possible(package.manifest):
            return (f"{verdict}, not tried: it brings no golden input",)
        outcome = await golden.run(board, f"releases/{digest}", package.manifest, REMEDY)
        say(outcome.said)
    _note(login.device.name, digest, package.manifest, outcome)
    return (f"{verdict}, golden cosine {outcome.cosine:.6f}, {outcome.summary}",)


async def status(login: Login, _say: Say) -> tuple[str, ...]:
    """Return what a board runs, holds and is, in the order of `STATUS_COLUMNS`."""
    async with connected(login) as board:
        there = await survey(board)
        facts = await probe(board, (), "")
        manifest = (await _read(board, there.current)).manifest if there.current else None
    uploads = [name for name in there.names if name.endswith(".partial")]
    return (
        manifest.name if manifest else "nothing",
        _short(there.current),
        *_times(login.device.name, there.current, manifest),
        ", ".join(_short(other) for other in _others(there)) or "none",
        ", ".join(_short(upload) for upload in uploads) or "none",
        there.owner or "nobody",
        size(facts.free),
        facts.glibc,
        facts.model or ", ".join(facts.socs) or facts.arch,
    )


def _note(device: str, digest: str, manifest: Manifest, outcome: golden.Golden) -> None:
    """Keep what a board measured where the release's deployment did, else with its model."""
    known = measured.find(device, digest)
    folder = known[0] if known else measured.BUILD / str(manifest.facts["model"]["name"])
    measured.keep(folder, device, digest, manifest, outcome.cosine, outcome.report)


def _times(device: str, digest: str, manifest: Manifest | None) -> tuple[str, str]:
    """Return the time that the simulator gives for a release, and the board's own last median."""
    known = measured.find(device, digest)
    median = f"{known[1]['measured']['p50_us']:.0f} us" if known else "-"
    if manifest is None:
        return "-", median
    simulated = manifest.facts["simulated_latency"].get("milliseconds")
    return f"{1000 * simulated:.0f} us" if simulated else "no estimate", median


async def _whole(board: Board, digest: str) -> Package:
    package = await _read(board, digest)
    if damaged := await check(board, package, f"releases/{digest}", mend=False):
        raise DeviceError(
            f"On {board.device.name}, {', '.join(damaged)} of {_short(digest)} are damaged.",
            cause="the board's flash is failing, or somebody changed files by hand",
            remedy="deploy that archive again: only what is damaged is sent",
        )
    return package


async def _read(board: Board, digest: str) -> Package:
    """Return the package that a release was made from, by its own documents."""
    folder = f"{board.device.path}/releases/{digest}"
    document, sums = [
        await board.run("read.sh", f"{folder}/{name}", str(_DOCUMENT_LIMIT))
        for name in (MANIFEST, SUMS)
    ]
    if hashlib.sha256(sums).hexdigest() != digest:
        raise ArtefactError(
            f"On {board.device.name}, the documents of {_short(digest)} were changed.",
            remedy="deploy the archive again",
        )
    return from_documents(document, sums)


def _others(survey: Survey) -> list[str]:
    return [digest for digest in survey.releases if digest != survey.current]


def _short(name: str) -> str:
    return name[:12]
