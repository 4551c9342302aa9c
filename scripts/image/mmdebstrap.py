"""Run mmdebstrap: on this machine where it can, else in a container."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from docker.errors import DockerException
from docker.models.containers import Container
from docker.models.images import Image

import docker
from scripts import apt
from scripts.errors import ImageBuildError
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import Lane

_IN_CONTAINER = Path("/base")
# What a package's files and scripts need: owners and modes of files, device nodes, chroot, users
# other than root. Without the right to mount, mmdebstrap does without /proc in the new root.
_RIGHTS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SETGID", "SETUID"]
_RIGHTS += ["SYS_CHROOT"]


def run(
    client: docker.DockerClient,
    lane: Lane,
    command: Callable[[Path], list[str]],
    work: Path,
    log: BuildLog,
) -> int:
    """Run `command(folder)`, `folder` being where it finds the files of `work`; return its code.

    It writes `base.tar` and `shown` there, which end up in `work` wherever it ran.

    Raises:
        ImageBuildError: it can run neither here nor in a container.
    """
    if _is_here(lane, log):
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(lane.source_date_epoch)}
        return log.run([*_apart(), *command(work)], environment)
    return _run_in_container(client, lane, command(_IN_CONTAINER), work, log)


def _apart() -> list[str]:
    """Return what puts root's mmdebstrap into a namespace of mounts, where the kernel lets it.

    What it mounts there, /proc and /sys of the new root, goes with it however it ends. Another
    user's makes namespaces itself.
    """
    prefix = ["unshare", "--mount"]
    if os.geteuid() != 0 or shutil.which(prefix[0]) is None:
        return []
    can = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if can else []


def _is_here(lane: Lane, log: BuildLog) -> bool:
    """Tell whether mmdebstrap can run here, installing it on Debian or Ubuntu as root."""
    keyring = Path("/usr/share/keyrings") / lane.keyring
    if shutil.which("mmdebstrap") and keyring.exists():
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    log.say("installing mmdebstrap on this machine with apt-get (it waits for other runs of apt)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log.run([*apt.COMMAND, "update"], environment)
    return log.run(_install(lane), environment) == 0


def _install(lane: Lane) -> list[str]:
    options = ["-y", "--no-install-recommends"]
    return [*apt.COMMAND, "install", *options, "mmdebstrap", lane.keyring_package]


def _run_in_container(
    client: docker.DockerClient, lane: Lane, command: list[str], work: Path, log: BuildLog
) -> int:
    log.say(f"mmdebstrap cannot run on this machine: running it in {lane.bootstrap_image}")
    script = f"apt-get update -qq && {shlex.join(_install(lane))} && exec {shlex.join(command)}"
    try:
        container = client.containers.create(
            _image(client, lane.bootstrap_image),
            ["sh", "-c", script],
            environment={"SOURCE_DATE_EPOCH": str(lane.source_date_epoch)},
            cap_drop=["ALL"],
            cap_add=_RIGHTS,
            security_opt=["no-new-privileges"],
        )
    except DockerException as error:
        raise ImageBuildError(
            f"The base can be made neither here nor in a container: {error}",
            cause="mmdebstrap is not installed, and no registry answers",
            remedy="on Debian or Ubuntu: `apt-get install mmdebstrap`",
        ) from error
    try:
        container.put_archive("/", _packed(work))
        container.start()
        for chunk in container.logs(stream=True, follow=True):
            log.write(chunk.decode(errors="replace").rstrip())
        code = int(container.wait()["StatusCode"])
        if code == 0:
            for name in ("base.tar", "shown"):
                _fetch(container, work, name)
        return code
    finally:
        container.remove(force=True)


def _image(client: docker.DockerClient, name: str) -> Image:
    present = client.images.list(name)
    return present[0] if present else client.images.pull(name)


def _packed(work: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(work, arcname=_IN_CONTAINER.name)
    return data.getvalue()


def _fetch(container: Container, work: Path, name: str) -> None:
    chunks, _ = container.get_archive(str(_IN_CONTAINER / name))
    with tempfile.TemporaryFile(dir=work) as scratch:
        for chunk in chunks:
            scratch.write(chunk)
        scratch.seek(0)
        with tarfile.open(fileobj=scratch) as archive:
            archive.extract(name, work, filter="data")
