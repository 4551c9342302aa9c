"""Sending a package to a board: going on where an earlier attempt was cut, and checking it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from scripts.boards import shell
from scripts.boards.board import SECONDS_OF_HASHING, Board
from scripts.boards.progress import Progress
from scripts.boards.survey import Plan, plan, survey
from scripts.errors import ArtefactError, TransferError
from scripts.package.item import Entry
from scripts.package.package import Package, Unpacked

_CHUNK = 1 << 18
_FIELDS = {"sum": 2, "link": 2, "there": 1}


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
        # What is of no file of the package is dropped anyway.
        files = {entry.path for entry in package.entries}
        await _prepare(board, package, [shell.order("drop", path) for path in files & {*damaged}])
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

    The board hashes every file, and the hashes are compared here. `mend` sets their modes first.

    Raises:
        DeviceError: the folder is missing.
    """
    orders = [shell.order("mode", entry.mode, entry.path) for entry in package.entries if mend]
    orders += [shell.order("file", entry.path) for entry in package.entries]
    orders += [shell.order("link", path) for path in _links(package)]
    path = f"{board.device.path}/{folder}"
    answer = await board.run("check.sh", path, orders=orders, seconds=SECONDS_OF_HASHING)
    hashes = {entry.path: entry.sha256 for entry in package.entries}
    return damages(answer, hashes, _links(package))


def damages(answer: bytes, hashes: Mapping[str, str], links: Mapping[str, str]) -> list[str]:
    """Return the files that by the answer of `check.sh` are damaged, missing or surplus.

    `hashes` are the SHA-256 that files must have, by path; `links` paths at which there may be a
    link, each with what the name it leads to must begin with.

    Raises:
        DeviceError: the answer is none of that script.
    """
    table = shell.rows(answer, _FIELDS)
    sums = {path: digest for digest, path in table["sum"]}
    ours = {path for path, target in table["link"] if _leads(target, links.get(path, ""))}
    there = Counter(path for (path,) in table["there"])
    wrong = {path for path, digest in hashes.items() if sums.get(path) != digest}
    wrong |= {path for path, count in there.items() if count > 1 or path not in {*hashes, *ours}}
    return sorted(shell.printable(path.encode()) for path in wrong)


def _links(package: Package) -> dict[str, str]:
    """Return where a release may have links to libraries of the board (see `fitness.links`)."""
    needs = package.manifest.facts["needs"]["libraries"]
    return {f"lib/{name}": f"{name}." for name in needs if name.endswith(".so")}


def _leads(target: str, beginning: str) -> bool:
    return bool(beginning) and PurePosixPath(target).name.startswith(beginning)


async def _transfer(board: Board, shipment: Unpacked, progress: Progress, *, link: bool) -> None:
    package = shipment.package
    there = await survey(board, package.digest, locked=True)
    todo = await asyncio.to_thread(plan, shipment, there, link=link)
    await _prepare(board, package, _orders(package, todo))
    progress.start(package.size, package.size - todo.size)
    for entry, offset in todo.send:
        pieces = _pieces(shipment.folder / entry.path, offset, progress)
        await _send(board, package, entry, offset, pieces)
    progress.finish()


async def _prepare(board: Board, package: Package, orders: Iterable[str]) -> None:
    """Carry out orders in the upload's folder, where what is of no file of the package goes."""
    keep = [shell.order("keep", entry.path) for entry in package.entries]
    await board.run(
        "prepare.sh",
        board.device.path,
        package.digest,
        orders=[*keep, *orders],
        seconds=SECONDS_OF_HASHING,
    )


def _orders(package: Package, todo: Plan) -> Iterator[str]:
    parents = {PurePosixPath(entry.path).parent for entry in package.entries}
    yield from (shell.order("drop", path) for path in todo.drop)
    yield from (shell.order("folder", str(path)) for path in sorted(parents) if path.name)
    yield from (shell.order("link", source, path) for source, path in todo.link)


async def _send(
    board: Board, package: Package, entry: Entry, offset: int, pieces: Iterable[bytes]
) -> None:
    partial = f"{board.device.path}/releases/{package.digest}.partial"
    await board.feed("receive.sh", partial, entry.path, str(offset), pieces=pieces)


def _pieces(path: Path, offset: int, progress: Progress) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while piece := file.read(_CHUNK):
                yield piece
                progress.advance(len(piece))
    except OSError as error:  # of this machine, and no word about the connection
        raise ArtefactError(
            f"{path} can no longer be read: {error.strerror}.",
            cause="the folder for temporary files was cleaned up meanwhile",
            remedy="run the command again, with TMPDIR on a disk of your own",
        ) from error
