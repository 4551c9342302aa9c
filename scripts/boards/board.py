"""A board that is logged in to, and scripts run on it.

Everything on the board is done by its own `sh` and coreutils or BusyBox: nothing is installed.
What it answers is read up to a bound, and waited for up to a limit.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

import asyncssh

from scripts.boards import shell
from scripts.boards.devices import Device
from scripts.errors import DeviceError, TransferError

# Seconds in which a script must be through, or take the next bytes.
SECONDS = 120.0
# The same where a script hashes gigabytes from a slow disk.
SECONDS_OF_HASHING = 1800.0
# Bytes that an answer may have.
ANSWER_LIMIT = 8 << 20
_COMPLAINT_LIMIT = 1 << 16
_CHUNK = 1 << 16


# Is told each script that is run, with its arguments; every board that is worked on has its own.
listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=lambda _: None)


@dataclass(frozen=True)
class Outcome:
    """What a script left: its output and complaints, cut at their limits, and its exit code.

    The code is None where the connection ended first, and negative after a signal.
    """

    output: bytes
    complaint: bytes
    code: int | None


class Board:
    """A board that is logged in to."""

    def __init__(self, device: Device, connection: asyncssh.SSHClientConnection) -> None:
        self.device = device
        self._connection = connection

    async def run(
        self,
        name: str,
        *arguments: str,
        orders: Iterable[str] = (),
        seconds: float | None = None,
        limit: int = ANSWER_LIMIT,
    ) -> bytes:
        """Run a script of this folder on orders; return its answer.

        Raises:
            DeviceError: the script failed, took too long or said too much.
            TransferError: the connection was lost.
        """
        document = [shell.document(orders)]
        return await self.feed(name, *arguments, pieces=document, seconds=seconds, limit=limit)

    async def feed(
        self,
        name: str,
        *arguments: str,
        pieces: Iterable[bytes],
        seconds: float | None = None,
        limit: int = ANSWER_LIMIT,
    ) -> bytes:
        """Run a script of this folder on bytes, sent no faster than the board takes them.

        Returns its answer; `seconds` is how long it may stand still, else `SECONDS`, and `limit`
        how many bytes it may answer.

        Raises:
            DeviceError: the script failed, took too long or said too much.
            TransferError: the connection was lost.
        """
        script = _begun(name, arguments)
        line = command(script, arguments)
        outcome = await self._execute(line, pieces, seconds or SECONDS, limit)
        if outcome.code is None:
            raise lost(self.device, "the connection ended in the middle of a command")
        if outcome.code:
            raise failed(self.device, outcome.complaint)
        return script.answer(outcome.output)

    @asynccontextmanager
    async def talk(self, name: str, *arguments: str) -> AsyncIterator[Talk]:
        """Run a script of this folder that answers line by line, for the time of the block."""
        script = _begun(name, arguments)
        with losses(self.device):
            process = await self._connection.create_process(
                command(script, arguments), encoding=None
            )
        try:
            yield Talk(self.device, process, script)
        finally:
            process.close()

    async def _execute(
        self, line: str, pieces: Iterable[bytes], seconds: float, limit: int
    ) -> Outcome:
        with losses(self.device):
            process = await self._connection.create_process(line, encoding=None)
            try:
                async with asyncio.timeout(seconds) as timer:
                    output, complaint, _ = await asyncio.gather(
                        _read(process, process.stdout, limit),
                        _read(process, process.stderr, _COMPLAINT_LIMIT),
                        _write(process.stdin, pieces, seconds, timer),
                    )
                    await process.wait_closed()
            except TimeoutError:
                if not timer.expired():
                    raise
                raise too_slow(self.device, seconds) from None
            finally:
                process.close()
        if len(output) > limit or len(complaint) > _COMPLAINT_LIMIT:
            raise _too_much(self.device, limit)
        return Outcome(output, complaint, process.returncode)


class Talk:
    """A script that runs, whose lines are read one by one."""

    def __init__(
        self,
        device: Device,
        process: asyncssh.SSHClientProcess[bytes],
        script: shell.Script,
    ) -> None:
        self.process = process
        self._device = device
        self._script = script
        self._buffer = b""

    async def row(self, fields: dict[str, int]) -> tuple[str, str] | None:
        """Return key and value of the next line, or None after the last one.

        Raises:
            DeviceError: it is none of the lines in `fields`, or too long.
            TransferError: the connection was lost.
        """
        if self._script.begin:
            await self._until(self._script.begin)
            self._script = shell.Script("", b"", b"")
        line = await self._until(b"\n")
        for key, values in shell.rows(line, fields).items():
            for value in values:
                return key, value[0]
        return None

    async def complaint(self) -> bytes:
        """Return what the script printed as errors until it ended."""
        with losses(self._device):
            return await _read(self.process, self.process.stderr, _COMPLAINT_LIMIT)

    async def _until(self, mark: bytes) -> bytes:
        with losses(self._device):
            while mark not in self._buffer:
                piece = await self.process.stdout.read(_CHUNK)
                self._buffer += piece
                if not piece or len(self._buffer) > _COMPLAINT_LIMIT:
                    break
        text, separator, rest = self._buffer.partition(mark)
        if not separator and len(text) > _COMPLAINT_LIMIT:
            raise _too_much(self._device, _COMPLAINT_LIMIT)
        self._buffer = rest
        return text


def _begun(name: str, arguments: Iterable[str]) -> shell.Script:
    """Return a script of this folder as it is sent, and tell who listens that it is run now."""
    listener.get()(shlex.join([name, *arguments]))
    return shell.rendered(name)


def command(script: shell.Script, arguments: Iterable[str]) -> str:
    """Return the command line that runs a script in the board's POSIX shell."""
    return shlex.join(["sh", "-c", script.text, "sh", *arguments])


@contextmanager
def losses(device: Device) -> Iterator[None]:
    """Name what goes wrong with an open connection.

    Raises:
        TransferError: the connection was lost.
    """
    try:
        yield
    except (asyncssh.Error, OSError) as error:
        raise lost(device, shell.why(error)) from error


def lost(device: Device, why: str) -> TransferError:
    """Return the error of a connection that ended too early."""
    return TransferError(
        f"The connection to {device.name} was lost: {why}.",
        cause="the network or the board went away",
        remedy="run the command again: what has arrived is kept",
    )


async def _read(
    process: asyncssh.SSHClientProcess[bytes], stream: asyncssh.SSHReader[bytes], limit: int
) -> bytes:
    """Return what a stream gives; one that gives more than its limit ends the script."""
    content = bytearray()
    while piece := await stream.read(_CHUNK):
        content += piece
        if len(content) > limit:
            process.close()
            break
    return bytes(content)


async def _write(
    stdin: asyncssh.SSHWriter[bytes],
    pieces: Iterable[bytes],
    seconds: float,
    timer: asyncio.Timeout,
) -> None:
    # A script that ends before its input does says why with its exit code.
    with suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            stdin.write(piece)
            await stdin.drain()
            timer.reschedule(asyncio.get_running_loop().time() + seconds)
        stdin.write_eof()


def too_slow(device: Device, seconds: float) -> DeviceError:
    """Return the error of a script that stands still."""
    return DeviceError(
        f"{device.name} has not answered a command for {seconds:.0f} s.",
        cause="its disk or a program on it hangs, or its log-in (.bashrc, .profile) waits",
        remedy="look at the board's kernel log and load, then run the command again",
    )


def _too_much(device: Device, limit: int) -> DeviceError:
    return DeviceError(
        f"{device.name} answers more than {limit} bytes where a few lines were asked for.",
        cause="its log-in (.bashrc, .profile) prints without end",
        remedy="try `ssh` by hand with a command, e.g. `true`: it must print nothing and succeed",
    )


def failed(device: Device, complaint: bytes) -> DeviceError:
    """Return the error of a script that failed, by what it complained of."""
    text = shell.printable(complaint)
    lines = text.strip().splitlines()[-10:] or ["it does not say why"]
    if "No space left on device" in text:
        return DeviceError(
            f"The disk of {device.name} is full.",
            cause="something else on the board wrote while the upload ran",
            remedy=f"free space for {device.path}, then run the command again: it goes on",
        )
    return DeviceError(f"A command on {device.name} failed:\n    " + "\n    ".join(lines))
