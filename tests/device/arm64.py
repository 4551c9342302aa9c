"""An arm64 Debian for boards, run through qemu: its programs are a real board's.

The kernel is told about qemu in a user namespace of its own, so that this machine is not touched.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import IO

PACKAGES = "openssh-server dash coreutils util-linux findutils grep sed libc-bin mount"
LIBRARIES = "libstdc++6 libatomic1"
_QEMU = "/usr/bin/qemu-aarch64-static"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_BINFMT = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    f":{_QEMU}:F"
)
# $1 is a folder for the register, $2 the root of the arm64 system, the rest the program in it.
_ENTER = """\
read go
registry=$1 root=$2
shift 2
mount -t binfmt_misc none "$registry" && printf '%s' "$BINFMT" >"$registry/register" || exit 1
mount --rbind /proc "$root/proc"
exec setpriv --reuid 0 --regid 0 --clear-groups chroot "$root" "$@"
"""


def userland(folder: Path) -> Path:
    """Unpack an arm64 Debian; nothing of it runs."""
    include = ",".join(f"{PACKAGES} {LIBRARIES}".split())
    command = ["mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64"]
    command += ["--skip=check/qemu", f"--include={include}", "bookworm", str(folder)]
    subprocess.run(command, check=True)
    return folder


def start(root: Path, program: list[str], log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a program of an arm64 system, in a namespace where the kernel knows qemu."""
    registry = root.with_name(f"{root.name}.binfmt")
    for folder in (registry, root / "proc"):
        folder.mkdir(exist_ok=True)
    command = ["unshare", "--user", "--mount", "sh", "-c", _ENTER, "sh", str(registry), str(root)]
    entered = subprocess.Popen(
        [*command, *program],
        stdin=subprocess.PIPE,
        stderr=log,
        env={"BINFMT": _BINFMT, "PATH": _PATH},
    )
    _wait_for_namespace(entered.pid)
    for table in ("uid_map", "gid_map"):
        Path(f"/proc/{entered.pid}/{table}").write_text("0 0 65536")
    assert entered.stdin is not None
    entered.stdin.write(b"go\n")
    entered.stdin.close()
    return entered


def possible(scratch: Path) -> bool:
    """Return whether this machine can run arm64 programs: qemu, mmdebstrap, Linux 6.7."""
    if not (Path(_QEMU).exists() and shutil.which("mmdebstrap")):
        return False
    root = scratch / "probe"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    return start(root, ["/bin/busybox", "true"]).wait() == 0


def _wait_for_namespace(pid: int) -> None:
    own = Path("/proc/self/ns/user").readlink()
    while Path(f"/proc/{pid}/ns/user").readlink() == own:
        pass
