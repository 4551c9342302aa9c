"""The base of a lane: a root file system with exact Debian packages, as one reproducible tar.

With the same packages, mmdebstrap gives the same bytes: `SOURCE_DATE_EPOCH` is set, and a last
hook drops what is local to the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker
from scripts import digests
from scripts.errors import ImageBuildError, UsageError
from scripts.image import mmdebstrap
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import CACHE, DOCKER, Lane

HOOK = DOCKER / "clean_base.sh"
# A sources.list to use in place of the distribution's usual mirror: a snapshot, a local mirror.
SOURCES_VARIABLE = "DINOV3_QNN_APT_SOURCES"
_REMEDY = (
    "refresh the locks with `invoke image.lock`, or name a sources.list of a snapshot"
    f" that still has the locked versions in {SOURCES_VARIABLE}"
)
_UNMET = re.compile(r"Version '[^']*' for '([^']+)' was not found|Unable to locate package (\S+)")
# dpkg leaves these out: nobody reads manuals in there, and of qemu's 30 machines we need one.
_LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/bin/qemu-*-static",
    "path-include=/usr/bin/qemu-aarch64-static",
)


def tarball(
    client: docker.DockerClient,
    lane: Lane,
    pins: Mapping[str, str],
    log: BuildLog,
    *,
    fresh: bool = False,
) -> Path:
    """Return the base of a lane with exactly the packages in `pins`, version by name.

    Without pins it takes what the archive has now. Kept for the next time; `fresh` makes it anew.

    Raises:
        ImageBuildError: a pin cannot be met; the message names the package.
    """
    path = CACHE / f"base-{lane.name}-{_key(lane, pins)}.tar"
    if path.is_file() and pins and not fresh:
        return path
    work = CACHE / f"base-{lane.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log.say(f"making the base of lane {lane.name} with mmdebstrap")
    _make(client, lane, pins, work, log)
    _compare(pins, installed(work / "base.tar"), lane)
    for old in CACHE.glob(f"base-{lane.name}-*.tar"):
        old.unlink()
    (work / "base.tar").replace(path)
    shutil.rmtree(work)
    return path


def installed(tar: Path) -> dict[str, str]:
    """Return the version of every package in a root file system, by name."""
    with tarfile.open(tar) as archive:
        member = archive.extractfile("./var/lib/dpkg/status")
        if member is None:
            raise ImageBuildError(f"{tar.name} has no package database.")
        text = member.read().decode()
    stanzas = (dict(re.findall(r"^(Package|Version): (.+)$", s, re.M)) for s in text.split("\n\n"))
    return {stanza["Package"]: stanza["Version"] for stanza in stanzas if stanza}


def command(lane: Lane, pins: Mapping[str, str], work: Path) -> list[str]:
    """Return mmdebstrap's command line; `work` is where its files are, as it sees them."""
    packages = [f"{name}={version}" for name, version in sorted(pins.items())]
    pockets = r"\|".join(lane.pockets)
    sources = [f"{work}/sources.list"] if os.environ.get(SOURCES_VARIABLE) else []
    return [
        *("mmdebstrap", "--variant=minbase", "--architectures=amd64"),
        f"--components={','.join(lane.components)}",
        f"--include={','.join(packages or lane.packages)}",
        *(f"--dpkgopt={option}" for option in _LEFT_OUT),
        f"--setup-hook=sed -i '/ \\({pockets}\\) /!d' \"$1/etc/apt/sources.list\"",
        f"--setup-hook=upload {work}/preferences /etc/apt/preferences.d/pins",
        f'--customize-hook=sh {work}/{HOOK.name} "$1"',
        *(lane.suite, f"{work}/base.tar", *sources),
    ]


def preferences(pins: Mapping[str, str]) -> str:
    """Return apt preferences that hold every package at its pin, those of the minimal set too."""
    stanza = "Package: {}\nPin: version {}\nPin-Priority: 1001\n"
    return "\n".join(stanza.format(name, version) for name, version in sorted(pins.items()))


def _make(
    client: docker.DockerClient, lane: Lane, pins: Mapping[str, str], work: Path, log: BuildLog
) -> None:
    (work / "preferences").write_text(preferences(pins))
    shutil.copy(HOOK, work)
    if sources := os.environ.get(SOURCES_VARIABLE):
        if not Path(sources).is_file():
            raise UsageError(f"{SOURCES_VARIABLE}={sources} is not a file.")
        shutil.copy(sources, work / "sources.list")
    if mmdebstrap.run(client, lane, lambda folder: command(lane, pins, folder), work, log):
        raise _failed(lane, log)


def _compare(pins: Mapping[str, str], found: Mapping[str, str], lane: Lane) -> None:
    if not pins or pins == found:
        return
    names = sorted({name for name, _ in set(pins.items()) ^ set(found.items())})
    raise ImageBuildError(
        f"The base of lane {lane.name} is not what is locked: {', '.join(names)}.",
        cause="the archive has moved on and no longer has a locked version",
        remedy=_REMEDY,
    )


def _failed(lane: Lane, log: BuildLog) -> ImageBuildError:
    names = {first or second for first, second in _UNMET.findall(log.tail())}
    what = f"no such version of {', '.join(sorted(names))}" if names else "mmdebstrap failed"
    return ImageBuildError(
        f"Lane {lane.name}: {what}. The last lines of {log.path}:\n{log.tail()}",
        cause="the archive has moved on, or is out of reach",
        remedy=_REMEDY,
    )


def _key(lane: Lane, pins: Mapping[str, str]) -> str:
    sources = os.environ.get(SOURCES_VARIABLE, "")
    parts = [*command(lane, pins, Path("/base")), HOOK.read_text(), sources]
    return digests.of_bytes("\0".join([*parts, str(lane.source_date_epoch)]).encode())[:12]
