"""The locks under `docker/locks/`: what the image and the host's environment are made of.

`<lane>.packages.txt` has every Debian package and the date when they were had, `<lane>.python.txt`
every wheel of the image, `qairt.txt` the wheels that Qualcomm's libraries are taken from,
`host.txt` the host's environment, `cluster.txt` what a cluster of Dask needs beside that,
`<lane>.licences.toml` what each package says of its licence, `<lane>.cdx.json` the bill of
materials of the image, `<lane>.digest` the content that all of it comes to. Names, versions and
hashes; no address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomllib

import docker
from scripts import writing
from scripts.errors import ImageBuildError, UsageError
from scripts.image import base, wheels
from scripts.image.base import Packages
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import DOCKER, Lane
from scripts.image.wheels import Pin, Platform

HOST = DOCKER / "locks" / "host.txt"
CLUSTER = DOCKER / "locks" / "cluster.txt"
QAIRT = DOCKER / "locks" / "qairt.txt"
SDK = DOCKER / "sdk.toml"
_HOST_REQUIREMENTS = DOCKER / "host.toml"
_AS_OF = "# As of "
_PIN = re.compile(r"([^=]+)=(\S+) sha256:([0-9a-f]{64})")
_MADE_BY = "# Made by `invoke image.lock`; do not edit.\n"


def packages(lane: Lane) -> Packages:
    """Return the locked Debian packages of a lane.

    Raises:
        ImageBuildError: the lane has no lock.
    """
    lines = _read(lane, "packages.txt").splitlines()
    (date,) = (line.removeprefix(_AS_OF) for line in lines if line.startswith(_AS_OF))
    pins = [_PIN.fullmatch(line) for line in lines if not line.startswith("#")]
    groups = [pin.groups() for pin in pins if pin]
    return Packages(date, {n: v for n, v, _ in groups}, {n: h for n, _, h in groups})


def python(lane: Lane) -> Path:
    """Return the lock of a lane's Python packages.

    Raises:
        ImageBuildError: the lane has no lock.
    """
    _read(lane, "python.txt")
    return lane.lock("python.txt")


def qairt(machine: str) -> Platform:
    """Return what a wheel with Qualcomm's libraries for a machine is chosen by."""
    return Platform(tomllib.loads(SDK.read_text())["python"], machine, "2.35")


def image_platform(lane: Lane) -> Platform:
    """Return what the wheels of a lane's image are chosen by."""
    return Platform(lane.python, "x86_64", lane.glibc)


def refresh(client: docker.DockerClient, lanes: Iterable[Lane], log: BuildLog) -> list[Path]:
    """Lock what the archive and the index have now; return the files written.

    Raises:
        ImageBuildError: something asked for cannot be had.
    """
    written = []
    for lane in lanes:
        written += [_refresh_packages(client, lane, log), _refresh_python(lane, log)]
    return [*written, _refresh_qairt(log), _refresh_host(log), refresh_cluster(log)]


def _refresh_packages(client: docker.DockerClient, lane: Lane, log: BuildLog) -> Path:
    return write_packages(lane, base.newest(client, lane, log))


def write_packages(lane: Lane, packages: Packages) -> Path:
    """Lock Debian packages."""
    pins = sorted(packages.versions.items())
    lines = (f"{name}={version} sha256:{packages.hashes[name]}\n" for name, version in pins)
    return _write(lane.lock("packages.txt"), (f"{_AS_OF}{packages.date}\n", *lines))


def _refresh_python(lane: Lane, log: BuildLog) -> Path:
    log.say(f"resolving the Python packages of lane {lane.name}")
    pins = wheels.resolve(lane.requirements, image_platform(lane))
    return _write(lane.lock("python.txt"), (pin.line() for pin in pins))


def _refresh_qairt(log: BuildLog) -> Path:
    log.say("resolving the wheels of Qualcomm's libraries")
    requirements = [tomllib.loads(SDK.read_text())["wheel"]]
    pins = [
        pin
        for machine in ("x86_64", "aarch64")
        for pin in wheels.resolve(requirements, qairt(machine), deps=False)
    ]
    return _write(QAIRT, (pin.line() for pin in merged(pins)))


def _refresh_host(log: BuildLog) -> Path:
    log.say("resolving the packages of the host's environment")
    pins = _on_hosts(_host("requirements"), log)
    return _write(HOST, (pin.line() for pin in pins))


def refresh_cluster(log: BuildLog) -> Path:
    """Lock what a cluster needs beside the host's environment, which stays as it is locked.

    Raises:
        ImageBuildError: the two do not go together, or a package cannot be had.
    """
    log.say("resolving the packages of a cluster")
    known = {pin.name: f"{pin.name}=={pin.version}" for pin in wheels.parse(HOST.read_text())}
    pins = _on_hosts([*known.values(), *_host("cluster")], log)
    return _write(CLUSTER, (pin.line() for pin in pins if pin.name not in known))


def _on_hosts(requirements: Iterable[str], log: BuildLog) -> list[Pin]:
    """Return one version of each package, with the wheels of it for all hosts that we support."""
    first, *others = (
        Platform(python, machine, _host("glibc"))
        for machine in _host("machines")
        for python in _host("pythons")
    )
    pins = wheels.resolve(requirements, first)
    exact = [f"{pin.name}=={pin.version}" for pin in pins]
    for platform in others:
        log.say(f"  and their wheels for Python {platform.python} on {platform.machine}")
        pins += wheels.resolve(exact, platform, deps=False)
    return merged(pins)


def _host(name: str) -> Any:
    return tomllib.loads(_HOST_REQUIREMENTS.read_text())[name]


def merged(pins: Iterable[Pin]) -> list[Pin]:
    """Return one pin for each name and version, with the hashes of all of them."""
    hashes: dict[tuple[str, str], set[str]] = {}
    for pin in pins:
        hashes.setdefault((pin.name, pin.version), set()).update(pin.hashes)
    return sorted(Pin(*key, tuple(sorted(sums))) for key, sums in hashes.items())


def recorded(lane: Lane) -> Mapping[str, Any]:
    """Return what is recorded of a lane, empty if nothing is.

    `inputs` and `content` are digests of its image; a table for each precision has the SHA-256 of
    what digits comes to, by name.

    Raises:
        UsageError: the file is damaged.
    """
    path = lane.lock("digest")
    if not path.exists():
        return {}
    try:
        digests = tomllib.loads(path.read_text())
        if not all(str(digests[name]).startswith("sha256:") for name in ("inputs", "content")):
            raise ValueError("`inputs` or `content` is no digest")
    except (ValueError, LookupError) as error:
        raise UsageError(
            f"{path.name} is damaged: {error}",
            cause="an edit or a merge that left its marks",
            remedy=f"`git checkout -- docker/locks/{path.name}`, or `invoke image.record`",
        ) from error
    return digests


def record(
    lane: Lane, inputs: str, content: str, artefacts: Mapping[str, Mapping[str, str]] | None = None
) -> Path:
    """Record what a lane's inputs come to: the image, and artefacts by precision and name."""
    lines = [f'inputs = "{inputs}"\n', f'content = "{content}"\n']
    for precision, files in (artefacts or {}).items():
        lines.append(f"\n[{precision}]\n")
        lines += [f'"{name}" = "{sha256}"\n' for name, sha256 in files.items()]
    return _write(lane.lock("digest"), lines)


def licences(lane: Lane) -> Mapping[str, Mapping[str, str]]:
    """Return what the packages of a lane say of their licences: tables `debian` and `python`.

    Raises:
        ImageBuildError: the lane has no lock.
    """
    return tomllib.loads(_read(lane, "licences.toml"))


def write_licences(lane: Lane, licences: Mapping[str, Mapping[str, str]]) -> Path:
    """Lock what the packages of a lane say of their licences."""
    lines = []
    for kind, texts in sorted(licences.items()):
        lines.append(f"\n[{kind}]\n")
        lines += [f"{json.dumps(name)} = {json.dumps(texts[name])}\n" for name in sorted(texts)]
    return _write(lane.lock("licences.toml"), lines)


def bill(lane: Lane) -> bytes:
    """Return the bill of materials of a lane's image: CycloneDX.

    Raises:
        ImageBuildError: the lane has no lock.
    """
    return _read(lane, "cdx.json").encode()


def _read(lane: Lane, kind: str) -> str:
    path = lane.lock(kind)
    if not path.exists():
        raise ImageBuildError(
            f"Lane {lane.name} has no lock {path.name}.",
            cause="" if lane.built else "this lane was never built by us: its archive was far",
            remedy=f"where its archive is in reach, run `invoke image.lock --lane {lane.name}`",
        )
    return path.read_text()


def _write(path: Path, lines: Iterable[str]) -> Path:
    return writing.replace(path, (_MADE_BY + "".join(lines)).encode())
