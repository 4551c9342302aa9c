"""Folders of this machine for an engine that does not see them: copied there, and back.

A folder travels as a tar archive into a volume at its place in the container; a file travels in the
folder it is to be seen in.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import IO

import docker
from scripts.pipeline.mount import Mount
from scripts.source import ROOT

# What tools leave in our own sources; of what a user gives, everything arrives.
_SOURCES = tuple(ROOT / name for name in ("scripts", "tests", "toolchains", "docker"))
_LITTER = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache")


def place(mount: Mount) -> str:
    """Return the folder of the container that a mount's copy goes into."""
    return mount.target if mount.source.is_dir() else str(PurePosixPath(mount.target).parent)


def send(
    client: docker.DockerClient, container: str, mounts: Sequence[Mount], user: tuple[int, int]
) -> None:
    """Copy every mount into a container that is not started yet, as files of (uid, gid) `user`."""
    for mount in mounts:
        with tempfile.TemporaryFile() as scratch:
            _pack(mount, scratch, user)
            scratch.seek(0)
            client.api.put_archive(container, place(mount), scratch)


def receive(client: docker.DockerClient, container: str, mounts: Sequence[Mount]) -> None:
    """Copy back what a container wrote into the mounts that are writable."""
    for mount in mounts:
        if mount.writable:
            chunks, _ = client.api.get_archive(container, f"{mount.target}/.")
            with tempfile.TemporaryFile() as scratch:
                scratch.writelines(chunks)
                scratch.seek(0)
                with tarfile.open(fileobj=scratch) as archive:
                    archive.extractall(mount.source, filter="data")


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of files that only their owner may read."""
    scratch = io.BytesIO()
    with tarfile.open(fileobj=scratch, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return scratch.getvalue()


def _pack(mount: Mount, scratch: IO[bytes], user: tuple[int, int]) -> None:
    source = mount.source.resolve()
    ours = any(source.is_relative_to(folder) for folder in _SOURCES)

    def member(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.uid, info.gid = user
        return None if ours and PurePosixPath(info.name).name in _LITTER else info

    name = "." if source.is_dir() else PurePosixPath(mount.target).name
    with tarfile.open(fileobj=scratch, mode="w") as archive:
        archive.add(source, arcname=name, filter=member)
