"""The base of a lane: a root file system with exact Debian packages, as one reproducible tar.

The packages come from the mirror while it has them, and from the archive of the lock's date in the
years after. apt checks the archive's signature; the lock holds the SHA-256 of every `.deb`.

With the same packages, mmdebstrap gives the same bytes: `SOURCE_DATE_EPOCH` is set, and a last
hook drops what is local to the machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import docker
from scripts import digests
from scripts.errors import ImageBuildError, UsageError
from scripts.image import mmdebstrap
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import CACHE, DOCKER, Lane

HOOK = DOCKER / "clean_base.sh"
VARIANT = "minbase"
# A sources.list to use in place of the distribution's usual mirror.
SOURCES_VARIABLE = "DINOV3_QNN_APT_SOURCES"
_REMEDY = (
    f"name a sources.list that still has the locked versions in {SOURCES_VARIABLE},"
    " or refresh the locks with `invoke image.lock`"
)
_UNMET = re.compile(r"Version '[^']*' for '([^']+)' was not found|Unable to locate package (\S+)")
# What apt says where an archive no longer has what was locked, or nobody signs it any more.
_MOVED_ON = re.compile(
    rf"{_UNMET.pattern}|404 +Not Found|Release file .* (?:is expired|is not valid)", re.IGNORECASE
)
# In the root file system until the last hook clears it: what apt knows of each package.
_SHOWN = "var/cache/apt/shown"
_SHOW = (
    f"""dpkg-query --admindir "$1/var/lib/dpkg" -W -f '${{Package}}\\n' |"""
    f""" APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" xargs apt-cache show > "$1/{_SHOWN}\""""
)
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


@dataclass(frozen=True)
class Packages:
    """Debian packages by name: their versions, the SHA-256 of each `.deb`, and when they were had.

    `date` reads as Debian's snapshot archive writes it, 20261126T120000Z.
    """

    date: str
    versions: Mapping[str, str]
    hashes: Mapping[str, str]


def tarball(
    client: docker.DockerClient, lane: Lane, packages: Packages, log: BuildLog, *, fresh: bool
) -> Path:
    """Return the base of a lane with exactly these packages, every `.deb` held to its SHA-256.

    They come from the mirror while it has them, else from the lane's snapshot archive. The base is
    kept for the next time, and hashed before it is used again; `fresh` makes it anew.

    Raises:
        ImageBuildError: a pin cannot be met; the message names the package.
    """
    path = CACHE / f"base-{lane.name}-{_key(lane, packages)}.tar"
    if not fresh and _is_whole(path):
        return path
    with _scratch(lane) as work:
        _require(_make_anywhere(client, lane, packages, work, log), packages, lane)
        for old in CACHE.glob(f"base-{lane.name}-*"):
            if old != work:
                old.unlink()
        _sum(path).write_text(digests.of_file(work / "base.tar"))
        (work / "base.tar").replace(path)
    return path


def newest(client: docker.DockerClient, lane: Lane, log: BuildLog) -> Packages:
    """Return what the archive has now of all that a lane asks for."""
    date = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    with _scratch(lane) as work:
        if _make(client, lane, {}, work, log):
            raise _failed(lane, log)
        return Packages(date, *_contents(work))


def installed(tar: Path) -> dict[str, str]:
    """Return the version of every package in a root file system, by name."""
    with tarfile.open(tar) as archive:
        member = archive.extractfile("./var/lib/dpkg/status")
        if member is None:
            raise ImageBuildError(f"{tar.name} has no package database.")
        stanzas = _stanzas(member.read().decode())
    return {stanza["Package"]: stanza["Version"] for stanza in stanzas}


def _stanzas(text: str) -> list[dict[str, str]]:
    """Return name, version and, where there is one, hash of each stanza of Debian's format."""
    pattern = re.compile(r"^(Package|Version|SHA256): (.+)$", re.MULTILINE)
    stanzas = (dict(pattern.findall(stanza)) for stanza in text.split("\n\n"))
    return [stanza for stanza in stanzas if stanza]


def command(lane: Lane, pins: Mapping[str, str], work: Path, *, sources: bool = False) -> list[str]:
    """Return mmdebstrap's command line; `work` is where its files are, as it sees them.

    With `sources` packages come from the sources.list in there, else from the suite's usual mirror.
    """
    packages = [f"{name}={version}" for name, version in sorted(pins.items())]
    pockets = r"\|".join(lane.pockets)
    usual = [f"--setup-hook=sed -i '/ \\({pockets}\\) /!d' \"$1/etc/apt/sources.list\""]
    return [
        *("mmdebstrap", f"--variant={VARIANT}", "--architectures=amd64"),
        f"--components={','.join(lane.components)}",
        *([f"--include={names}"] if (names := ",".join(packages or lane.packages)) else []),
        *(f"--dpkgopt={option}" for option in _LEFT_OUT),
        *([] if sources else usual),
        f"--setup-hook=upload {work}/preferences /etc/apt/preferences.d/pins",
        f"--customize-hook={_SHOW}",
        f"--customize-hook=download /{_SHOWN} {work}/shown",
        f'--customize-hook=sh {work}/{HOOK.name} "$1"',
        *(lane.suite, f"{work}/base.tar", *([f"{work}/sources.list"] if sources else [])),
    ]


def preferences(pins: Mapping[str, str]) -> str:
    """Return apt preferences that hold every package at its pin, those of the minimal set too."""
    stanza = "Package: {}\nPin: version {}\nPin-Priority: 1001\n"
    return "\n".join(stanza.format(name, version) for name, version in sorted(pins.items()))


def snapshot(lane: Lane, date: str) -> str:
    """Return the sources.list of a lane's archive as it was; its signatures have run out."""
    keyring = Path("/usr/share/keyrings") / lane.keyring
    options = f"[check-valid-until=no signed-by={keyring}]"
    lines = (place.format(date=date) for place in lane.snapshot)
    return "".join(f"deb {options} {line} {' '.join(lane.components)}\n" for line in lines)


def _make_anywhere(
    client: docker.DockerClient, lane: Lane, packages: Packages, work: Path, log: BuildLog
) -> tuple[dict[str, str], dict[str, str]]:
    """Make the base from the mirror, else from the snapshot; return versions and hashes."""
    sources = _configured()
    if not _make(client, lane, packages.versions, work, log, sources):
        return _contents(work)
    failure = _failed(lane, log)
    if not lane.snapshot or not _MOVED_ON.search(log.tail()):
        raise failure
    log.say(f"the mirror no longer has what is locked: taking the archive of {packages.date}")
    past = snapshot(lane, packages.date)
    if _make(client, lane, packages.versions, work, log, past):
        raise failure
    return _contents(work)


def _make(
    client: docker.DockerClient,
    lane: Lane,
    pins: Mapping[str, str],
    work: Path,
    log: BuildLog,
    sources: str = "",
) -> int:
    log.say(f"making the base of lane {lane.name} with mmdebstrap")
    (work / "preferences").write_text(preferences(pins))
    (work / "sources.list").write_text(sources)
    shutil.copy(HOOK, work)
    return mmdebstrap.run(
        client,
        lane,
        lambda folder: command(lane, pins, folder, sources=bool(sources)),
        work,
        log,
    )


def _configured() -> str:
    """Return the sources.list that the user names, empty for the distribution's usual mirror."""
    path = os.environ.get(SOURCES_VARIABLE)
    if path and not Path(path).is_file():
        raise UsageError(f"{SOURCES_VARIABLE}={path} is not a file.")
    return Path(path).read_text() if path else ""


def _contents(work: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return version and SHA-256 of every package in a base just made, by name."""
    versions = installed(work / "base.tar")
    shown = _stanzas((work / "shown").read_text())
    hashes: dict[str, set[str]] = {}
    for stanza in shown:
        name = stanza["Package"]
        if "SHA256" in stanza and stanza["Version"] == versions.get(name):
            hashes.setdefault(name, set()).add(stanza["SHA256"])
    # Two archives that have other bytes under one version: neither is to be trusted.
    return versions, {name: " or ".join(sorted(sums)) for name, sums in hashes.items()}


def _require(
    had: tuple[Mapping[str, str], Mapping[str, str]], packages: Packages, lane: Lane
) -> None:
    versions, hashes = had
    differing = set(versions.items()) ^ set(packages.versions.items())
    if differing:
        raise ImageBuildError(
            f"The base of lane {lane.name} is not what is locked: {_names(differing)}.",
            cause="the archive has moved on and no longer has a locked version",
            remedy=_REMEDY,
        )
    if forged := set(hashes.items()) ^ set(packages.hashes.items()):
        raise ImageBuildError(
            f"Lane {lane.name}: the archive has other bytes than those locked of {_names(forged)}.",
            cause="a mirror that was tampered with, or one of another distribution",
            remedy=_REMEDY,
        )


def _names(items: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted({name for name, _ in items}))


@contextmanager
def _scratch(lane: Lane) -> Iterator[Path]:
    work = CACHE / f"base-{lane.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work)


def _is_whole(path: Path) -> bool:
    """Tell whether a base of the cache is there, and still what it was."""
    if not path.is_file() or not _sum(path).is_file():
        return False
    return digests.of_file(path) == _sum(path).read_text()


def _sum(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _failed(lane: Lane, log: BuildLog) -> ImageBuildError:
    names = {first or second for first, second in _UNMET.findall(log.tail())}
    what = f"no such version of {', '.join(sorted(names))}" if names else "mmdebstrap failed"
    return ImageBuildError(
        f"Lane {lane.name}: {what}. The last lines of {log.path}:\n{log.tail()}",
        cause="the archive has moved on, or is out of reach",
        remedy=_REMEDY,
    )


def _key(lane: Lane, packages: Packages) -> str:
    parts = [*command(lane, packages.versions, Path("/base")), HOOK.read_text()]
    parts += [str(lane.source_date_epoch), json.dumps(dict(packages.hashes), sort_keys=True)]
    return digests.of_bytes("\0".join(parts).encode())[:12]
