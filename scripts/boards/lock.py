"""One deployment at a time on a board, by a lock that cannot outlive whoever holds it.

The lock is held by a small process on the board for as long as it hears from us: it ends with the
connection, or within a minute where the connection dies without a word.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncssh

from scripts.boards import board as remote
from scripts.boards import shell
from scripts.boards.board import Board, Talk, failed, lost, too_slow
from scripts.boards.whoami import user
from scripts.errors import DeviceError

SECONDS_TO_WAIT = 1800.0
SECONDS_BETWEEN_BEATS = 10.0
_SECONDS_TO_RELEASE = 5.0
_ANSWERS = {"held": 1, "locked": 1}


@asynccontextmanager
async def locked(board: Board, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Hold the lock for the time of the block; wait for another holder to finish.

    Raises:
        DeviceError: another deployment holds it for too long.
        TransferError: the lock was lost, and with it the right to go on.
    """
    async with board.talk("lock.sh", board.device.path, _whoami()) as holder:
        try:
            await _granted(board, holder, say)
            async with _heartbeat(board, holder.process):
                yield
        finally:
            with suppress(asyncssh.Error, OSError, TimeoutError):
                holder.process.stdin.write_eof()
                await asyncio.wait_for(holder.process.wait_closed(), _SECONDS_TO_RELEASE)


async def _granted(board: Board, holder: Talk, say: Callable[[str], None]) -> None:
    seconds = remote.SECONDS
    row = await _within(holder, seconds, too_slow(board.device, seconds))
    if row and row[0] == "held":
        owner = shell.printable(row[1].encode()) or "unknown"
        say(f"another deployment is under way: {owner}; waiting for it")
        row = await _within(holder, SECONDS_TO_WAIT, _busy(board))
    if row is None:
        raise failed(board.device, await holder.complaint())


async def _within(holder: Talk, seconds: float, error: DeviceError) -> tuple[str, str] | None:
    """Return the holder's next answer, or raise the error where it takes longer than that."""
    try:
        async with asyncio.timeout(seconds):
            return await holder.row(_ANSWERS)
    except TimeoutError:
        raise error from None


def _busy(board: Board) -> DeviceError:
    return DeviceError(
        f"Another deployment has held {board.device.name} for {SECONDS_TO_WAIT:.0f} s.",
        remedy="see who holds it with `invoke device.status`, and try again later",
    )


@asynccontextmanager
async def _heartbeat(board: Board, holder: asyncssh.SSHClientProcess[bytes]) -> AsyncIterator[None]:
    """Send beats while the block runs, and cancel the block where the holder has gone."""
    block = asyncio.current_task()
    gone = False

    async def beat() -> None:
        nonlocal gone
        with suppress(asyncssh.Error, OSError):
            while not holder.stdout.at_eof():
                holder.stdin.write(b".")
                with suppress(TimeoutError):
                    await asyncio.wait_for(holder.wait_closed(), SECONDS_BETWEEN_BEATS)
        gone = True
        if block:
            block.cancel()

    beats = asyncio.create_task(beat())
    try:
        yield
    except asyncio.CancelledError:
        if gone and block:
            block.uncancel()
            raise lost(board.device, "the lock on the board was lost") from None
        raise
    finally:
        beats.cancel()


def _whoami() -> str:
    return f"{user()}@{socket.gethostname()} process {os.getpid()}"
