"""One SSH connection to a board whose host key is pinned, and programs run over it.

Everything on the board is done by its own `sh` and coreutils or BusyBox: nothing is installed.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncssh

from scripts.boards.devices import Device
from scripts.boards.login import Login
from scripts.errors import DeviceError, HostKeyError, TransferError

_CONNECT_SECONDS = 20
# A board that answers none of four of these is taken for gone.
_KEEPALIVE_SECONDS = 15
# The order in which keys are asked for, so that the key pinned is the key shown later.
_KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


class Board:
    """A board that is logged in to."""

    def __init__(self, device: Device, connection: asyncssh.SSHClientConnection) -> None:
        self.device = device
        self._connection = connection

    async def start(self, script: str, *arguments: str) -> asyncssh.SSHClientProcess[bytes]:
        """Start a shell script whose standard input and output stay open, as bytes.

        Raises:
            TransferError: the connection was lost.
        """
        command = shlex.join(["sh", "-c", script, "sh", *arguments])
        with losses(self.device):
            return await self._connection.create_process(command, encoding=None)

    async def feed(self, script: str, *arguments: str, pieces: Iterable[bytes]) -> bytes:
        """Run a shell script on the pieces, no faster than the board takes them.

        Returns what the script prints.

        Raises:
            DeviceError: the script ended with an error.
            TransferError: the connection was lost.
        """
        process = await self.start(script, *arguments)
        with losses(self.device):
            # A script that ends before its input does says why with its exit code, below.
            with suppress(BrokenPipeError):
                for piece in pieces:
                    process.stdin.write(piece)
                    await process.stdin.drain()
                process.stdin.write_eof()
            done = await process.wait()
        if done.returncode is None:
            raise lost(self.device, "the connection ended in the middle of a command")
        if done.returncode:
            raise _failed(self.device, bytes(done.stderr or b"").decode(errors="replace"))
        return bytes(done.stdout or b"")

    async def run(self, script: str, *arguments: str, given: str = "") -> str:
        """Run a shell script on a text; return the text it prints.

        Raises:
            DeviceError: the script ended with an error.
            TransferError: the connection was lost.
        """
        return (await self.feed(script, *arguments, pieces=[given.encode()])).decode()


@asynccontextmanager
async def connected(login: Login) -> AsyncIterator[Board]:
    """Log in to a board for the time of the block.

    Raises:
        HostKeyError: its host key is not the one pinned, or none is pinned.
        DeviceError: it cannot be reached, or refuses the log-in.
    """
    device = login.device
    if not device.host_key:
        raise _untrusted(device, await fingerprint(device))
    guard = _Guard(device)
    with _refusals(device, guard):
        connection = await asyncssh.connect(
            device.host,
            device.port,
            username=device.user,
            client_factory=lambda: guard,
            config=None,
            known_hosts=([], [], []),
            server_host_key_algs=_KEY_KINDS,
            connect_timeout=_CONNECT_SECONDS,
            login_timeout=_CONNECT_SECONDS,
            keepalive_interval=_KEEPALIVE_SECONDS,
            **login.options(),
        )
    async with connection:
        yield Board(device, connection)


async def fingerprint(device: Device) -> str:
    """Return the fingerprint of the host key that a board shows now, without logging in.

    Raises:
        DeviceError: it cannot be reached.
    """
    with _refusals(device, _Guard(device)):
        key = await asyncio.wait_for(
            asyncssh.get_server_host_key(
                device.host, device.port, config=None, server_host_key_algs=_KEY_KINDS
            ),
            _CONNECT_SECONDS,
        )
    if key is None:
        raise DeviceError(f"{device.name} shows no host key.", cause="it is no OpenSSH server")
    return str(key.get_fingerprint("sha256"))


@contextmanager
def losses(device: Device) -> Iterator[None]:
    """Name what goes wrong with an open connection.

    Raises:
        TransferError: the connection was lost.
    """
    try:
        yield
    except (asyncssh.Error, OSError) as error:
        raise lost(device, str(error)) from error


def lost(device: Device, why: str) -> TransferError:
    """Return the error of a connection that ended too early."""
    return TransferError(
        f"The connection to {device.name} was lost: {why}.",
        cause="the network or the board went away",
        remedy="run the command again: what has arrived is kept",
    )


class _Guard(asyncssh.SSHClient):
    """Accepts one host key and no other; remembers what was shown."""

    def __init__(self, device: Device) -> None:
        self._pinned = device.host_key
        self.shown = ""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.shown = str(key.get_fingerprint("sha256"))
        return self.shown == self._pinned


@contextmanager
def _refusals(device: Device, guard: _Guard) -> Iterator[None]:
    address = f"{device.name} ({device.host} port {device.port})"
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise _changed(device, guard.shown) from error
    except (asyncssh.PermissionDenied, asyncssh.KeyImportError) as error:
        raise DeviceError(
            f"{address} refuses to log in {device.user}: {error}",
            cause="the key or password is wrong, or the key has a passphrase and no agent holds it",
            remedy="try `ssh` by hand; set key, password_env or password_prompt in devices.toml",
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise DeviceError(
            f"{address} cannot be reached: {error or type(error).__name__}",
            cause="it is off, on another network, or devices.toml has another address",
            remedy=f"ping {device.host}; check host and port in devices.toml",
        ) from error


def _untrusted(device: Device, shown: str) -> HostKeyError:
    trust = f"invoke device.trust --device {device.name}"
    return HostKeyError(
        f"The host key of {device.name} is not known yet. The board shows {shown}.",
        remedy=f"compare it with the one on the board's console, then: {trust}",
    )


def _changed(device: Device, shown: str) -> HostKeyError:
    return HostKeyError(
        f"{device.name} shows the host key {shown or 'of another kind'}, not {device.host_key}.",
        cause="the board was installed anew, its address belongs to another machine now, or"
        " somebody stands in between",
        remedy="find out which; only for a new installation: "
        f"invoke device.trust --device {device.name}",
    )


def _failed(device: Device, said: str) -> DeviceError:
    lines = said.strip().splitlines()[-10:] or ["it does not say why"]
    if "No space left on device" in said:
        return DeviceError(
            f"The disk of {device.name} is full.",
            cause="something else on the board wrote while the upload ran",
            remedy=f"free space for {device.path}, then run the command again: it goes on",
        )
    return DeviceError(f"A command on {device.name} failed:\n    " + "\n    ".join(lines))
