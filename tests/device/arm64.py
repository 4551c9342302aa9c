"""An arm64 Debian for boards, run through qemu: its programs are a real board's.

The kernel is told about qemu in a user namespace of its own, so that this machine is not touched.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import IO

from tests.device import system

LIBRARIES = "libstdc++6 libatomic1"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_BINFMT = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    ":{qemu}:F"
)
# $1 is a folder for the register, $2 the root of the arm64 system, the rest the program in it.
_ENTER = """\
read go || exit 1
registry=$1 root=$2
shift 2
mount -t binfmt_misc none "$registry" && printf '%s' "$BINFMT" >"$registry/register" || exit 1
mount --rbind /proc "$root/proc"
exec setpriv --reuid 0 --regid 0 --clear-groups chroot "$root" "$@"
"""


def userland(folder: Path) -> Path | None:
    """Return an arm64 Debian unpacked below a folder, or None where none can be had or run."""
    if not _possible(folder):
        print("no arm64 programs here (qemu-user-static, Linux 6.7): a board of amd64")
        return None
    root = folder / "root"
    packages = f"{system.SERVER} {LIBRARIES}"
    options = ("--architectures=arm64", "--skip=check/qemu")
    if system.unpack(root, packages, *options).returncode:
        print("no arm64 Debian to be had here, see above: a board of amd64")
        return None
    return root


def start(root: Path, program: list[str], log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a program of an arm64 system, in a namespace where the kernel knows qemu.

    Raises:
        OSError: this machine makes no such namespace.
    """
    registry = root.with_name(f"{root.name}.binfmt")
    for folder in (registry, root / "proc"):
        folder.mkdir(exist_ok=True)
    command = ["unshare", "--user", "--mount", "sh", "-c", _ENTER, "sh", str(registry), str(root)]
    entered = subprocess.Popen(
        [*command, *program],
        stdin=subprocess.PIPE,
        stderr=log,
        env={"BINFMT": _BINFMT.replace("{qemu}", str(system.qemu())), "PATH": _PATH},
    )
    assert entered.stdin is not None
    with entered.stdin:
        _wait_for_namespace(entered)
        for table in ("uid_map", "gid_map"):
            Path(f"/proc/{entered.pid}/{table}").write_text("0 0 65536")
        entered.stdin.write(b"go\n")
    return entered


def _possible(scratch: Path) -> bool:
    root = scratch / "probe"
    (root / "bin").mkdir(parents=True)
    shutil.copy(system.debian() / "bin/busybox", root / "bin/busybox")
    try:
        return bool(system.qemu()) and start(root, ["/bin/busybox", "true"]).wait() == 0
    except OSError:
        return False


def _wait_for_namespace(entered: subprocess.Popen[bytes]) -> None:
    own = Path("/proc/self/ns/user").readlink()
    while Path(f"/proc/{entered.pid}/ns/user").readlink() == own:
        if entered.poll() is not None:
            raise OSError("unshare refused")
