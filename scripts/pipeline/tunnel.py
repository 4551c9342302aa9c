"""A socket here that leads to the engine of another machine, through the OpenSSH client.

So keys, agents, jump hosts and known hosts are those of the user's own `ssh`.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from scripts.errors import EngineError

SOCKET = "/var/run/docker.sock"


@cache
def socket(address: str) -> Path:
    """Return a socket that leads to the engine at `ssh://[user@]host[:port][/path/of/socket]`.

    Raises:
        EngineError: there is no way to that machine; the message is ssh's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="dinov3-qnn-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "engine.sock"
    try:
        ssh = subprocess.Popen(
            command(address, path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        raise _refused(address, "there is no `ssh` here") from None
    # However this process ends, its end of the pipe closes, `cat` ends, and ssh with it.
    atexit.register(ssh.kill)
    assert ssh.stdout and ssh.stderr
    if not ssh.stdout.readline():
        raise _refused(address, ssh.stderr.read().strip())
    return path


def command(address: str, path: Path) -> list[str]:
    """Return the command that brings the engine's socket to `path`."""
    parts = urlsplit(address)
    port = ["-p", str(parts.port)] if parts.port else []
    user = ["-l", parts.username] if parts.username else []
    forward = f"{path}:{parts.path.rstrip('/') or SOCKET}"
    options = ["-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-L", forward]
    return ["ssh", *options, *port, *user, "--", parts.hostname or "", "echo ready; exec cat"]


def _refused(address: str, text: str) -> EngineError:
    return EngineError(
        f"The engine at DOCKER_HOST={address} cannot be reached: {text}",
        cause="the host key or your own key is not known there, or the name is wrong",
        remedy="make `ssh HOST docker version` work first, without a password",
    )
