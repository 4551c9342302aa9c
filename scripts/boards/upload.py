"""Sending a package to a board: going on where an earlier attempt was cut, and checking it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from scripts.boards.connection import Board
from scripts.boards.progress import Progress
from scripts.boards.resources import script
from scripts.boards.survey import Plan, plan, survey
from scripts.errors import TransferError
from scripts.package.item import Entry
from scripts.package.manifest import SUMS
from scripts.package.package import Package, Unpacked

_CHUNK = 1 << 18


async def upload(board: Board, shipment: Unpacked, progress: Progress) -> None:
    """Bring every file of a package into the board's upload folder.

    Raises:
        TransferError: the connection was lost, or files arrive damaged again and again.
        DeviceError: the board cannot write them.
    """
    package = shipment.package
    partial = f"releases/{package.digest}.partial"
    await _transfer(board, shipment, progress, link=True)
    damaged = await check(board, package, partial, mend=True)
    if damaged:
        progress.say(f"damaged on the board, sent again: {', '.join(damaged)}")
        await _prepare(board, package, [f"drop\t{path}" for path in damaged])
        await _transfer(board, shipment, progress, link=False)
        damaged = await check(board, package, partial, mend=True)
    if damaged:
        raise TransferError(
            f"{', '.join(damaged)} arrived damaged on {board.device.name}, twice.",
            cause="the board's flash or memory is failing",
            remedy="check the board's kernel log for I/O errors; nothing was switched over",
        )


async def check(board: Board, package: Package, folder: str, *, mend: bool) -> list[str]:
    """Return the files of a release, below the board's folder, that are not as they must be.

    `mend` sets their modes first.

    Raises:
        DeviceError: the folder is missing.
    """
    modes = [f"{entry.mode}\t{entry.path}\n" for entry in package.entries if mend]
    expected = {entry.path for entry in package.entries}
    path = f"{board.device.path}/{folder}"
    return damages(
        await board.run(script("check.sh"), path, given="".join(modes)), package.digest, expected
    )


def damages(answer: str, digest: str, expected: Iterable[str]) -> list[str]:
    """Return the files that the answer of `check.sh` says are damaged, missing or surplus."""
    said: dict[str, set[str]] = {"file": set(), "sums": set(), "bad": set()}
    for line in answer.splitlines():
        key, value = line.split("\t")
        said[key].add(value)
    wrong = said["bad"] | said["file"].symmetric_difference(expected)
    return sorted(wrong if digest in said["sums"] else {*wrong, SUMS})


async def _transfer(board: Board, shipment: Unpacked, progress: Progress, *, link: bool) -> None:
    package = shipment.package
    found = await survey(board, package.digest, locked=True)
    todo = await asyncio.to_thread(plan, shipment, found, link=link)
    await _prepare(board, package, _orders(package, todo))
    progress.start(package.size, package.size - todo.size)
    for entry, offset in todo.send:
        pieces = _pieces(shipment.folder / entry.path, offset, progress)
        await _send(board, package, entry, pieces)
    progress.finish()


async def _prepare(board: Board, package: Package, orders: Iterable[str]) -> None:
    text = "".join(f"{order}\n" for order in orders)
    await board.run(script("prepare.sh"), board.device.path, package.digest, given=text)


def _orders(package: Package, todo: Plan) -> Iterator[str]:
    parents = {PurePosixPath(entry.path).parent for entry in package.entries}
    yield from (f"drop\t{path}" for path in todo.drop)
    yield from (f"folder\t{path}" for path in sorted(map(str, parents)))
    yield from (f"link\t{source}\t{path}" for source, path in todo.link)


async def _send(board: Board, package: Package, entry: Entry, pieces: Iterable[bytes]) -> None:
    partial = f"{board.device.path}/releases/{package.digest}.partial"
    await board.feed(script("receive.sh"), partial, entry.path, pieces=pieces)


def _pieces(path: Path, offset: int, progress: Progress) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(_CHUNK):
            yield piece
            progress.advance(len(piece))
