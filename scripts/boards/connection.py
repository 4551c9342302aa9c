"""Connections to boards whose host keys are pinned, straight or through a jump host.

OpenSSH's own files, `~/.ssh/config` and `known_hosts`, are not read: devices.toml says it all.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import asyncssh

from scripts.boards import shell
from scripts.boards.board import Board
from scripts.boards.devices import Hop
from scripts.boards.login import Login
from scripts.errors import DeviceError, HostKeyError

_CONNECT_SECONDS = 20
# A board that answers none of four of these is taken for gone.
_KEEPALIVE_SECONDS = 15
# The order in which keys are asked for, so that the key pinned is the key shown later.
_KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


@asynccontextmanager
async def connected(login: Login) -> AsyncIterator[Board]:
    """Log in to a board for the time of the block.

    Raises:
        HostKeyError: its host key, or its jump host's, is not the one pinned, or none is pinned.
        DeviceError: it cannot be reached, or refuses the log-in.
    """
    async with (
        _through(login) as tunnel,
        _opened(login.device.hop, login.options(), tunnel) as connection,
    ):
        yield Board(login.device, connection)


async def fingerprint(login: Login, hop: Hop) -> str:
    """Return the fingerprint of the host key that a board or its jump host shows now.

    The hop itself is not logged in to.

    Raises:
        DeviceError: it cannot be reached.
        HostKeyError: the jump host before it is not to be trusted.
    """
    straight = hop == login.device.jump_hop
    async with nullcontext() if straight else _through(login) as tunnel:
        return await _shown(hop, tunnel)


@asynccontextmanager
async def _through(login: Login) -> AsyncIterator[asyncssh.SSHClientConnection | None]:
    """Log in to the jump host of a device, where it has one."""
    hop = login.device.jump_hop
    if hop is None:
        yield None
        return
    async with _opened(hop, login.jump_options(), None) as connection:
        yield connection


@asynccontextmanager
async def _opened(
    hop: Hop, options: dict[str, Any], tunnel: asyncssh.SSHClientConnection | None
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    if not hop.host_key:
        raise _untrusted(hop, await _shown(hop, tunnel))
    guard = _Guard(hop)
    with _refusals(hop, guard):
        connection = await asyncssh.connect(
            hop.host,
            hop.port,
            tunnel=tunnel or (),
            username=hop.user,
            client_factory=lambda: guard,
            config=None,
            known_hosts=([], [], []),
            server_host_key_algs=_KEY_KINDS,
            connect_timeout=_CONNECT_SECONDS,
            login_timeout=_CONNECT_SECONDS,
            keepalive_interval=_KEEPALIVE_SECONDS,
            **options,
        )
    async with connection:
        yield connection


async def _shown(hop: Hop, tunnel: asyncssh.SSHClientConnection | None) -> str:
    with _refusals(hop, _Guard(hop)):
        key = await asyncio.wait_for(
            asyncssh.get_server_host_key(
                hop.host,
                hop.port,
                tunnel=tunnel or (),
                config=None,
                server_host_key_algs=_KEY_KINDS,
            ),
            _CONNECT_SECONDS,
        )
    if key is None:
        raise DeviceError(f"{hop.name} shows no host key.", cause="it is no OpenSSH server")
    return str(key.get_fingerprint("sha256"))


class _Guard(asyncssh.SSHClient):
    """Accepts one host key and no other; remembers what was shown."""

    def __init__(self, hop: Hop) -> None:
        self._pinned = hop.host_key
        self.shown = ""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.shown = str(key.get_fingerprint("sha256"))
        return self.shown == self._pinned


@contextmanager
def _refusals(hop: Hop, guard: _Guard) -> Iterator[None]:
    try:
        with _named(hop, guard):
            yield
    except DeviceError as error:
        error.is_reached = False
        raise


@contextmanager
def _named(hop: Hop, guard: _Guard) -> Iterator[None]:
    address = f"{hop.name} ({hop.host} port {hop.port})"
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise _changed(hop, guard.shown) from error
    except (asyncssh.PermissionDenied, asyncssh.KeyImportError) as error:
        raise DeviceError(
            f"{address} refuses to log in {hop.user}: {shell.why(error)}",
            cause="the key or password is wrong, or the key has a passphrase and no agent holds it",
            remedy=f"try `ssh` by hand; set {hop.logins} in devices.toml",
        ) from error
    except socket.gaierror as error:
        raise _unknown_name(hop, error) from error
    except (asyncssh.Error, OSError) as error:
        raise DeviceError(
            f"{address} cannot be reached: {shell.why(error)}",
            cause="it is off, on another network, or devices.toml has another address",
            remedy=f"ping {hop.host}; check its address in devices.toml",
        ) from error


def _unknown_name(hop: Hop, error: socket.gaierror) -> DeviceError:
    return DeviceError(
        f"{hop.name}: there is no host called {hop.host} ({error.strerror}).",
        cause="the name is an alias in ~/.ssh/config, which is not read, or it is misspelt",
        remedy=f"`ssh -G {hop.host}` shows what the alias stands for: put its hostname, port, user"
        " and identityfile into devices.toml as host, port, user and key, its proxyjump as jump",
    )


def _untrusted(hop: Hop, shown: str) -> HostKeyError:
    trust = f"invoke device.trust --device {hop.device}"
    return HostKeyError(
        f"The host key of {hop.name} is not known yet. The board shows {shown}.",
        remedy=f"compare it with the one on the board's console, then: {trust}",
    )


def _changed(hop: Hop, shown: str) -> HostKeyError:
    return HostKeyError(
        f"{hop.name} shows the host key {shown or 'of another kind'}, not {hop.host_key}.",
        cause="the board was installed anew, its address belongs to another machine now, or"
        " somebody stands in between",
        remedy="find out which; only for a new installation: "
        f"invoke device.trust --device {hop.device}",
    )
