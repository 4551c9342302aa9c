"""What the device tests need of the machine: an OpenSSH server and BusyBox, to make boards of."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

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
    # Nothing of them is to run on this machine: without a policy, apt would start a server.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    for command in (["apt-get", "update", "-qq"], install):
        subprocess.run(command, env=environment, check=True)
