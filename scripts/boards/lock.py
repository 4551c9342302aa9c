"""One deployment at a time on a board, by a lock that cannot outlive whoever holds it.

The lock is held by a small process on the board for as long as it hears from us: it ends with the
connection, or within a minute where the connection dies without a word.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncssh

from scripts.boards.connection import Board, losses, lost
from scripts.boards.resources import script
from scripts.errors import DeviceError

SECONDS_TO_WAIT = 1800.0
SECONDS_BETWEEN_BEATS = 10.0
_SECONDS_TO_RELEASE = 5.0


@asynccontextmanager
async def locked(board: Board, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Hold the lock for the time of the block; wait for another holder to finish.

    Raises:
        DeviceError: another deployment holds it for too long.
        TransferError: the lock was lost, and with it the right to go on.
    """
    holder = await board.start(script("lock.sh"), board.device.path, _whoami())
    try:
        await _granted(board, holder, say)
        async with _kept(board, holder):
            yield
    finally:
        with suppress(asyncssh.Error, OSError, TimeoutError):
            holder.stdin.write_eof()
            await asyncio.wait_for(holder.wait_closed(), _SECONDS_TO_RELEASE)
        holder.close()


async def _granted(
    board: Board, holder: asyncssh.SSHClientProcess[bytes], say: Callable[[str], None]
) -> None:
    try:
        async with asyncio.timeout(SECONDS_TO_WAIT):
            with losses(board.device):
                while answer := (await holder.stdout.readline()).decode().strip():
                    if answer == "locked":
                        return
                    say(f"another deployment is under way: {answer}; waiting for it")
    except TimeoutError:
        raise DeviceError(
            f"Another deployment has held {board.device.name} for {SECONDS_TO_WAIT:.0f} s.",
            remedy="see who holds it with `invoke device.status`, and try again later",
        ) from None
    said = bytes(await holder.stderr.read()).decode().strip()
    raise DeviceError(f"{board.device.name}: the lock cannot be taken: {said}")


@asynccontextmanager
async def _kept(board: Board, holder: asyncssh.SSHClientProcess[bytes]) -> AsyncIterator[None]:
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
    return f"{getpass.getuser()}@{socket.gethostname()} process {os.getpid()}"
