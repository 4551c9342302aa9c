"""What the device tests need of the machine: an OpenSSH server and BusyBox, to make boards of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
NEEDED = {
    "/usr/sbin/sshd": "openssh-server",
    "/bin/busybox": "busybox-static",
    "/usr/bin/qemu-aarch64-static": "qemu-user-static",
    "/usr/bin/mmdebstrap": "mmdebstrap",
}


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
    if "openssh-server" in missing and shutil.which("systemctl"):
        # Its package enables it; nobody asked for a server at the next start of the machine.
        subprocess.run(
            ["systemctl", "disable", "--quiet", "ssh.service", "ssh.socket"], check=False
        )


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
