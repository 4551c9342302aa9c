"""A board to deploy to: a folder with a system, an OpenSSH server of its own and Qualcomm's files.

It calls itself an aarch64 QCS9075. Its programs are BusyBox and what this machine has, or those of
an arm64 Debian run through qemu.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.device import arm64

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
ubuntu:x:1000:1000::/:/bin/sh
"""


@dataclass
class Board:
    """One board; `root` is its file system on this machine, `port` its SSH port on loopback."""

    root: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    emulated: bool = False
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
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError((self.root / "sshd.log").read_text())

    def stop(self) -> None:
        """Stop the server; connections that are open stay so."""
        if self._server:
            self._server.terminate()
            self._server.wait()
            self._server = None


@contextmanager
def board(
    root: Path, *, userland: Path | None = None, environment: dict[str, str] | None = None
) -> Iterator[Board]:
    """Make a board and start it; `environment` is what a log-in finds set.

    `userland` is the folder of an arm64 system, for programs that are a real board's.
    """
    made = Board(root, _free_port(), environment or {}, emulated=userland is not None)
    if userland:
        subprocess.run(["cp", "--archive", "--link", str(userland), str(root)], check=True)
    _folders(made)
    if userland is None:
        _programs(made)
    _accounts(made)
    _devices(made)
    made.new_host_key()
    made.start()
    try:
        yield made
    finally:
        made.stop()


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _folders(made: Board) -> None:
    for folder in ("bin", "sbin", "tmp", "run/sshd", "proc", "data", "etc/ssh", "dev"):
        (made.root / folder).mkdir(parents=True, exist_ok=True)
    made.data.chmod(0o777)
    (made.root / "tmp").chmod(0o1777)


def _programs(made: Board) -> None:
    """Put programs of this machine on the board, with fakes that speak for an arm64 one."""
    shutil.copy("/bin/busybox", made.root / "bin/busybox")
    listed = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
    # BusyBox's own shell would not look for fakes of its commands, and Debian's has no flock.
    own = {"busybox", "sh", "flock"}
    for name in set(listed.stdout.split()) - own:
        (made.root / "bin" / name).symlink_to("busybox")
    _copy_with_libraries(made.root, "/bin/dash", "bin/sh")
    _copy_with_libraries(made.root, "/usr/bin/flock", "bin/flock")
    for program in ("/usr/sbin/sshd", *map(str, Path("/usr/lib/openssh").glob("sshd-*"))):
        _copy_with_libraries(made.root, program, program)
    made.fake("uname", "echo aarch64")
    made.fake("getconf", "echo glibc 2.39")
    made.fake("df", _DF)
    made.put("/usr/lib/libc.so.6")


def _copy_with_libraries(root: Path, program: str, name: str) -> None:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in listed.split() if word.startswith("/")]
    for path, copy in [(program, name), *zip(libraries, libraries, strict=True)]:
        target = root / copy.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(path, target)


def _accounts(made: Board) -> None:
    command = ["/bin/busybox", "mkpasswd", "-m", "sha512", PASSWORD]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    made.put("/etc/passwd", _PASSWD)
    made.put("/etc/group", "root:x:0:\nubuntu:x:1000:\nnogroup:x:65534:\n")
    made.put("/etc/shadow", f"root:*:1::::::\nsshd:*:1::::::\n{USER}:{hashed}:1::::::\n", 0o600)


def _devices(made: Board) -> None:
    for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
        node = made.root / "dev" / name
        node.unlink(missing_ok=True)
        os.mknod(node, 0o020666, os.makedev(1, minor))
        node.chmod(0o666)
    made.put("/sys/devices/soc0/machine", "QCS9075\n")
    made.put("/usr/lib/libcdsprpc.so")
    made.put("/dev/fastrpc-cdsp", mode=0o666)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
