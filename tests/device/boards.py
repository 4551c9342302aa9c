"""A board to deploy to: a folder with a system, an OpenSSH server of its own and Qualcomm's files.

It calls itself an aarch64 QCS9075. Its programs are BusyBox's, or those of a Debian: of this
machine's architecture, or of arm64 run through qemu.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.device import arm64, system

USER, PASSWORD = "ubuntu", "correct horse 7 battery staple"
DATA = "/data"
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication yes
MaxStartups 100
SetEnv PATH=/fake:/usr/bin:/bin:/usr/sbin:/sbin {environment}
"""
# The real one wants /proc.
_DF = """\
for last; do :; done
set -- $(stat -f -c '%a %S' "$last")
echo header
echo "fs 0 0 $(($1 * $2 / 1024)) 0% $last"
"""
_PASSWD = """\
root:x:0:0:root:/:/bin/sh
sshd:x:101:65534::/run/sshd:/bin/false
ubuntu:x:1000:1000::{home}:{shell}
"""


@dataclass
class Board:
    """One board; `root` is its file system on this machine, `port` its SSH port on loopback."""

    root: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    emulated: bool = False
    home: str = "/"
    shell: str = "/bin/sh"
    _server: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The folder of releases."""
        return self.root / DATA.lstrip("/")

    @property
    def host_key(self) -> str:
        """The fingerprint of the host key, as ssh-keygen prints it."""
        command = ["ssh-keygen", "-l", "-f", str(self.root / "etc/ssh/host_key.pub")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split()[1]

    @property
    def current(self) -> str:
        """The digest of the release in use, or nothing."""
        link = self.data / "current"
        return link.readlink().name if link.is_symlink() else ""

    def put(self, path: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """Write a file on the board."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        return file

    def fake(self, command: str, script: str) -> None:
        """Put a shell script before a command of the board."""
        self.put(f"/fake/{command}", f"#!/bin/sh\n{script}\n", 0o755)

    def is_whole(self, digest: str) -> bool:
        """Return whether every file of a release is what its `SHA256SUMS` says, and no other is."""
        release = self.data / "releases" / digest
        sums = (release / "SHA256SUMS").read_bytes()
        lines = [line.split("  ") for line in sums.decode().splitlines()]
        files = {str(file.relative_to(release)) for file in release.rglob("*") if file.is_file()}
        return (
            hashlib.sha256(sums).hexdigest() == digest
            and files == {path for _, path in lines} | {"SHA256SUMS"}
            and all(_sha256(release / path) == expected for expected, path in lines)
        )

    def new_host_key(self) -> None:
        """Make a host key, as an installation of a board does."""
        for file in (self.root / "etc/ssh").glob("host_key*"):
            file.unlink()
        key = str(self.root / "etc/ssh/host_key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)

    def start(self) -> None:
        """Start the SSH server and wait until it answers."""
        environment = " ".join(f'"{name}={value}"' for name, value in self.environment.items())
        self.put("/etc/ssh/sshd_config", _CONFIG.format(port=self.port, environment=environment))
        server = ["/usr/sbin/sshd", "-D", "-e"]
        with (self.root / "sshd.log").open("ab") as log:
            if self.emulated:
                self._server = arm64.start(self.root, server, log)
            else:
                self._server = subprocess.Popen(["chroot", str(self.root), *server], stderr=log)
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError((self.root / "sshd.log").read_text())

    def end(self) -> None:
        """Stop the server, and whatever else still runs on this board."""
        self.stop()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "root").readlink() == self.root.resolve():
                    os.kill(int(process.name), signal.SIGKILL)

    def stop(self) -> None:
        """Stop the server; connections that are open stay so."""
        if self._server:
            self._server.terminate()
            self._server.wait()
            self._server = None


@contextmanager
def board(
    root: Path,
    *,
    userland: Path | None = None,
    emulated: bool = False,
    environment: dict[str, str] | None = None,
    home: str = "/",
    shell: str = "/bin/sh",
) -> Iterator[Board]:
    """Make a board and start it; `environment` is what a log-in finds set.

    `userland` is the folder of a system for its programs, `emulated` whether that is of arm64;
    without one, its programs are BusyBox's.
    """
    board = Board(root, _free_port(), environment or {}, emulated, home, shell)
    if userland:
        subprocess.run(["cp", "--archive", "--link", str(userland), str(root)], check=True)
    _folders(board)
    if userland is None:
        _programs(board)
    if not emulated:
        _fakes(board)
    _accounts(board)
    _devices(board)
    board.new_host_key()
    board.start()
    try:
        yield board
    finally:
        board.end()


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _folders(board: Board) -> None:
    for folder in ("bin", "sbin", "tmp", "run/sshd", "proc", "data", "etc/ssh", "dev"):
        (board.root / folder).mkdir(parents=True, exist_ok=True)
    board.data.chmod(0o777)
    (board.root / "tmp").chmod(0o1777)


def _programs(board: Board) -> None:
    """Put BusyBox on the board, and of a Debian its shell, flock and OpenSSH."""
    source = system.debian()
    busybox = str(source / "bin/busybox")
    shutil.copy(busybox, board.root / "bin/busybox")
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    # BusyBox's own shell would not look for fakes of its commands, and Debian's has no flock.
    own = {"busybox", "sh", "flock"}
    for name in set(listed.stdout.split()) - own:
        (board.root / "bin" / name).symlink_to("busybox")
    _copy_with_libraries(source, board.root, "/bin/dash", "bin/sh")
    _copy_with_libraries(source, board.root, "/usr/bin/flock", "bin/flock")
    helpers = (f"/usr/lib/openssh/{path.name}" for path in source.glob("usr/lib/openssh/sshd-*"))
    for program in ("/usr/sbin/sshd", *helpers):
        _copy_with_libraries(source, board.root, program, program)
    board.fake("getconf", "echo glibc 2.39")


def _fakes(board: Board) -> None:
    """Let the board's programs speak for an arm64 one."""
    board.fake("uname", "echo aarch64")
    board.fake("df", _DF)
    board.fake("sync", "exit 0")  # that of this machine would wait for all its disks
    board.put("/usr/lib/libc.so.6")


def _copy_with_libraries(source: Path, root: Path, program: str, name: str) -> None:
    libraries = _libraries(source, program)
    for path, copy in [(program, name), *zip(libraries, libraries, strict=True)]:
        target = root / copy.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(source / path.lstrip("/"), target)


@cache
def _libraries(source: Path, program: str) -> tuple[str, ...]:
    """Return the shared libraries that a program of a system loads, its loader among them."""
    loader = next(iter(source.glob("lib*/ld-linux-*")))
    command = ["chroot", str(source), f"/{loader.relative_to(source)}", "--list", program]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = {word for word in listed.split() if word.startswith("/")}
    return tuple(sorted({*words, f"/{loader.relative_to(source)}"}))


def _accounts(board: Board) -> None:
    busybox = str(system.debian() / "bin/busybox")
    command = [busybox, "mkpasswd", "-m", "sha512", PASSWORD]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    board.put("/etc/passwd", _PASSWD.format(home=board.home, shell=board.shell))
    home = board.root / board.home.lstrip("/")
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, 1000, 1000)
    board.put("/etc/group", "root:x:0:\nubuntu:x:1000:\nnogroup:x:65534:\n")
    board.put("/etc/shadow", f"root:*:1::::::\nsshd:*:1::::::\n{USER}:{hashed}:1::::::\n", 0o600)


def _devices(board: Board) -> None:
    for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
        node = board.root / "dev" / name
        node.unlink(missing_ok=True)
        os.mknod(node, 0o020666, os.makedev(1, minor))
        node.chmod(0o666)
    board.put("/sys/devices/soc0/machine", "QCS9075\n")
    board.put("/usr/lib/libcdsprpc.so")
    board.put("/dev/fastrpc-cdsp", mode=0o666)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
