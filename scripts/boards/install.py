"""One package onto one board, from the first question to the new release in use.

At every moment `current` is a whole release: the old one, or after one rename the new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from scripts.boards import fitness, golden, measured, releases, shell
from scripts.boards.board import Board
from scripts.boards.connection import connected
from scripts.boards.lock import locked
from scripts.boards.login import Login
from scripts.boards.probe import probe
from scripts.boards.progress import Progress
from scripts.boards.survey import plan, survey
from scripts.boards.upload import check, upload
from scripts.errors import TransferError
from scripts.package.package import Unpacked

ATTEMPTS = 4
SECONDS_BEFORE_RETRY = 2.0
# What to do where a network gives wrong results: the archive, or the board, is at fault.
AFTER_DEPLOYMENT = (
    "the release in use was left as it was; see `invoke device.status`, or make the archive again "
    "with `invoke package`"
)
AFTER_TRIAL = (
    "the release in use was left as it was; see `invoke device.status`, or run the sweep again "
    "with another --build-dir, which makes its archives anew"
)
Say = Callable[[str], None]
Work = Callable[[Login, Unpacked, Say, Path], Awaitable[str]]


async def install(login: Login, shipment: Unpacked, say: Say, results: Path) -> str:
    """Bring a package into use on a board; a cut connection is taken up again a few times.

    What the board measures is noted in the folder `results`.

    Returns what there is to say about it, in a few words.

    Raises:
        MismatchError: the package does not fit the board; nothing was sent.
        HostKeyError: the board's host key is unknown or has changed.
        TransferError: the connection kept breaking, or files kept arriving damaged.
        GateError: the network gives wrong results on the board; the old release stays in use.
        DeviceError: anything else the board refuses.
    """
    return await _again_when_cut(_install, login, shipment, say, results)


async def trial(login: Login, shipment: Unpacked, say: Say, results: Path) -> str:
    """Try a package on a board as `install` does, and leave the release in use where it is.

    What was brought for it is removed afterwards.

    Raises:
        DeviceError: as `install`.
        GateError: the network gives wrong results on the board.
    """
    return await _again_when_cut(_trial, login, shipment, say, results)


async def _again_when_cut(
    work: Work, login: Login, shipment: Unpacked, say: Say, results: Path
) -> str:
    for attempt in range(1, ATTEMPTS):
        try:
            return await work(login, shipment, say, results)
        except TransferError as error:
            say(f"{error.what} Attempt {attempt + 1} of {ATTEMPTS} follows.")
            await asyncio.sleep(SECONDS_BEFORE_RETRY * attempt)
    return await work(login, shipment, say, results)


async def _trial(login: Login, shipment: Unpacked, say: Say, results: Path) -> str:
    digest = shipment.package.digest
    async with connected(login) as board:
        links = await _preflight(board, shipment, say)
        async with locked(board, say):
            there = await survey(board)
            await _arrive(board, shipment, say, prune=False)
            try:
                await _link(board, digest, links)
                tried = await _try(board, shipment, say, results, AFTER_TRIAL)
            finally:
                if not releases.is_of_deployment(there, digest):
                    with suppress(TransferError):  # the next deployment removes it
                        await releases.remove(board, [digest])
    return f"{digest[:12]} is whole{tried}"


async def _install(login: Login, shipment: Unpacked, say: Say, results: Path) -> str:
    async with connected(login) as board:
        links = await _preflight(board, shipment, say)
        async with locked(board, say):
            await _arrive(board, shipment, say, prune=True)
            await _link(board, shipment.package.digest, links)
            tried = await _try(board, shipment, say, results, AFTER_DEPLOYMENT)
            removed = await _switch(board, shipment.package.digest)
    more = f", {len(removed)} old removed" if removed else ""
    return f"{shipment.package.digest[:12]} is in use{tried}{more}"


async def _preflight(board: Board, shipment: Unpacked, say: Say) -> dict[str, str]:
    """Refuse what cannot work; return the links that the release needs on this board."""
    manifest = shipment.package.manifest
    skel = f"libQnnHtp{manifest.facts['target']['arch'].upper()}Skel.so"
    facts = await probe(board, manifest.facts["needs"]["libraries"], skel)
    there = await survey(board, shipment.package.digest)
    known = shipment.package.digest in there.releases
    todo = await asyncio.to_thread(plan, shipment, there)
    fitness.check(board.device, facts, manifest, 0 if known else todo.size)
    for remark in fitness.remarks(facts, manifest):
        say(f"note: {remark}")
    return fitness.links(facts, manifest)


async def _arrive(board: Board, shipment: Unpacked, say: Say, *, prune: bool) -> None:
    """Bring a release onto a board; `prune` makes room for it by what need not stay."""
    package = shipment.package
    release = f"releases/{package.digest}"
    there = await survey(board)
    if package.digest in there.releases:
        damaged = await check(board, package, release, mend=True)
        if not damaged:
            say("this release is on the board already, and whole")
            return
        say(f"this release is on the board, damaged: {', '.join(damaged)}")
    if prune:
        await releases.prune(board, there, coming=package.digest)
    await upload(board, shipment, Progress(say))
    await releases.commit(board, package.digest)


async def _link(board: Board, digest: str, links: dict[str, str]) -> None:
    if links:
        orders = [shell.order("link", path, target[1:]) for path, target in links.items()]
        await board.run("links.sh", f"{board.device.path}/releases/{digest}", orders=orders)


async def _try(board: Board, shipment: Unpacked, say: Say, results: Path, remedy: str) -> str:
    manifest, digest = shipment.package.manifest, shipment.package.digest
    if not golden.possible(manifest):
        say("note: the package brings no golden input: not tried on the board")
        return ", not tried"
    outcome = await golden.run(board, f"releases/{digest}", manifest, remedy)
    say(outcome.said)
    measured.keep(results, board.device.name, digest, manifest, outcome.cosine, outcome.report)
    return f", golden cosine {outcome.cosine:.6f}, {outcome.summary}"


async def _switch(board: Board, digest: str) -> list[str]:
    there = await survey(board)
    if there.current != digest:
        await releases.activate(board, digest, *releases.succession(there, digest))
    return await releases.prune(board, await survey(board))
