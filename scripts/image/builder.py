"""The engine's classic builder, which every engine has: a context in, an image out."""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import docker
from scripts.errors import ImageBuildError, from_os_error
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import CACHE

_STEP = re.compile(r"Step (\d+/\d+) : (\w+ .{0,70})")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FULL = "no space left on device"

# Files of a build context: the name inside it, and the file or the bytes that go there.
Context = Mapping[str, Path | bytes]


def build(
    client: docker.DockerClient,
    context: Context,
    log: BuildLog,
    *,
    arguments: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    tag: str | None = None,
    no_cache: bool = False,
) -> str:
    """Build the context's `Dockerfile` without a network and return the image's id.

    Raises:
        ImageBuildError: a step failed; the message has the last lines of the log.
    """
    # Hundreds of megabytes: on the disk of the cache, not in a /tmp that may be memory.
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=CACHE) as scratch:
        _pack(context, scratch)
        scratch.seek(0)
        events = client.api.build(
            fileobj=scratch,
            custom_context=True,
            encoding="identity",
            buildargs=dict(arguments or {}),
            labels=dict(labels or {}),
            tag=tag,
            nocache=no_cache,
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        return _follow(events, log)


def is_executable(path: Path) -> bool:
    """Tell whether the owner may run a file; the one bit of a mode that a context keeps."""
    return path.exists() and bool(path.stat().st_mode & 0o100)


def _follow(events: object, log: BuildLog) -> str:
    image = ""
    for event in events:  # type: ignore[attr-defined]
        text = _COLOUR.sub("", event.get("stream", "")).rstrip()
        log.write(text)
        if step := _STEP.match(text):
            log.announce(f"{step[1]} {' '.join(step[2].split())}")
        image = event.get("aux", {}).get("ID", image)
        if "error" in event:
            log.write(event["error"])
            raise failed(event["error"], log)
    return image


def failed(error: str, log: BuildLog) -> Exception:
    """Return the error behind what the engine says of a build or an import."""
    if _FULL in error and (named := from_os_error(OSError(28, error, "the engine's storage"))):
        return named
    return ImageBuildError(
        f"The image could not be built. The last lines of {log.path}:\n{log.tail()}"
    )


def _pack(context: Context, scratch: io.BufferedRandom | tempfile._TemporaryFileWrapper) -> None:  # type: ignore[type-arg]
    """Write a tar that depends on names and bytes only, so that the engine's cache can hit."""
    with tarfile.open(fileobj=scratch, mode="w") as archive:
        for name, source in sorted(context.items()):
            member = tarfile.TarInfo(name)
            if isinstance(source, bytes):
                member.size = len(source)
                archive.addfile(member, io.BytesIO(source))
            else:
                member.size = source.stat().st_size
                member.mode = 0o755 if is_executable(source) else 0o644
                with source.open("rb") as file:
                    archive.addfile(member, file)
