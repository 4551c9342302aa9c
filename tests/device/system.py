"""What the device tests need of the machine: a Debian in a folder, to make boards of.

OpenSSH's server is taken out of its package and started by the tests alone. It is never installed:
that would start one on this machine, for everybody and for good.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
# Programs of this machine, and the packages they come from; none of them runs as a service.
NEEDED = {"/usr/bin/mmdebstrap": "mmdebstrap", "/usr/bin/ssh-keygen": "openssh-client"}
SERVER = "openssh-server dash coreutils util-linux findutils grep sed libc-bin mount"
PROGRAMS = f"{SERVER} bash busybox-static gzip locales libfaketime"


def ready() -> None:
    """Install what is missing where that is possible, saying so; fail with the remedy elsewhere."""
    missing = [package for path, package in NEEDED.items() if not Path(path).exists()]
    if os.geteuid() != 0:
        raise RuntimeError("the device tests make boards with chroot: run them as root")
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise RuntimeError(f"the device tests need {' and '.join(missing)}: install them")
    print(f"installing {' '.join(missing)} for the device tests")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]
    install = [*apt, "install", "--yes", "--no-install-recommends", *missing]
    with nothing_starts():
        for command in ([*apt, "update", "-qq"], install):
            subprocess.run(command, env=environment, check=True)


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Keep packages from starting what they install, in Debian's way: a policy that refuses."""
    if POLICY.exists():
        yield  # the machine's own; image builders have one that refuses
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


@cache
def debian() -> Path:
    """Return a folder with a Debian of this machine's architecture, unpacked and not set up.

    It is gone with this process.
    """
    ready()
    root = _folder() / "debian"
    unpack(root, PROGRAMS).check_returncode()
    subprocess.run(
        ["chroot", str(root), "localedef", "-i", "de_DE", "-f", "UTF-8", "de_DE.UTF-8"], check=True
    )
    return root


@cache
def qemu() -> Path | None:
    """Return qemu for programs of arm64, taken out of its package, or None where there is none."""
    root = _folder() / "qemu"
    if unpack(root, "qemu-user-static").returncode:
        return None
    return root / "usr/bin/qemu-aarch64-static"


def unpack(root: Path, packages: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Unpack packages and what they depend on below a folder; none of their scripts is run."""
    command = ["mmdebstrap", "--quiet", "--variant=extract", *options]
    command += [f"--include={','.join(packages.split())}", "bookworm", str(root)]
    return subprocess.run(command, check=False)


def services() -> set[str]:
    """Return what of SSH this machine runs or would run by itself."""
    state = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", "openssh-server"],
        capture_output=True,
        text=True,
        check=False,
    )
    units = [*Path("/etc/systemd/system").glob("*/ssh*"), *Path("/etc").glob("rc?.d/S*ssh")]
    return {f"package: {state.stdout}", *map(str, units), *_listeners()}


def _listeners() -> set[str]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[1].endswith(":0016") and line[3] == "0A"}


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dinov3-boards-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
