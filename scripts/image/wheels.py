"""Python wheels for the image: fetched on the host, from where the host's pip settings say.

The image is built without a network; a proxy, a private index or a custom CA is pip's business.
Which file is right is the lock's: every wheel is held to its hash, when it comes and when it is
taken out of the cache.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts import digests, pip_settings
from scripts.errors import ImageBuildError
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import CACHE

# A lock says "this very file"; the versions below 2.5 and above the lane's glibc cannot fit.
_OLDEST_MANYLINUX = 5
# Wheels of local versions, torch's for CPUs, are on no default index: its makers have one for them.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_LOCAL_VERSION = "+cpu"
_OTHER_BYTES = "DO NOT MATCH THE HASHES"
_UNMET = re.compile(r"No matching distribution found for (\S+)|^\s+(\S+==\S+) from ", re.MULTILINE)


@dataclass(frozen=True)
class Platform:
    """What wheels must fit: Python's minor version, the machine, and the newest glibc."""

    python: str
    machine: str
    glibc: str

    def options(self) -> list[str]:
        """Return pip's options for this platform."""
        newest = int(self.glibc.split(".")[1])
        tags = [f"manylinux_2_{n}" for n in range(newest, _OLDEST_MANYLINUX - 1, -1)]
        tags += ["manylinux2014", "manylinux2010", "manylinux1", "linux"]
        options = ["--only-binary=:all:", "--python-version", self.python]
        for tag in tags:
            options += ["--platform", f"{tag}_{self.machine}"]
        return options


@dataclass(frozen=True, order=True)
class Pin:
    """One version of a package, and the SHA-256 of each wheel of it that is accepted."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def line(self) -> str:
        """Return this pin as pip's requirements files write it."""
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(self.hashes))
        return f"{self.name}=={self.version}{hashes}\n"


def parse(lock: str) -> list[Pin]:
    """Return the pins of a lock, in its order."""
    lines = [line.split() for line in lock.replace("\\\n", " ").splitlines()]
    return [_parsed(*line) for line in lines if line and not line[0].startswith("#")]


def _parsed(requirement: str, *options: str) -> Pin:
    name, _, version = requirement.partition("==")
    return Pin(name, version, tuple(text.removeprefix("--hash=sha256:") for text in options))


def resolve(requirements: Iterable[str], platform: Platform, *, deps: bool = True) -> list[Pin]:
    """Return the pins of all that `requirements` need on a platform, as pip chooses them.

    Raises:
        ImageBuildError: pip cannot satisfy them.
    """
    specifiers = list(requirements)
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [*pip_settings.command("install"), "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--report", str(report), "--target", scratch]
        command += [*([] if deps else ["--no-deps"]), *platform.options(), *specifiers]
        for settings in _places(specifiers):
            done = subprocess.run(
                command, env=settings, capture_output=True, text=True, check=False
            )
            if not done.returncode:
                break
        else:
            raise ImageBuildError(f"pip cannot resolve the lock:\n{done.stderr.strip()}")
        items = json.loads(report.read_text())["install"]
    return sorted(_pin(item) for item in items)


def _places(requirements: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield where to resolve: as the settings say, then with torch's own index beside that."""
    settings = _settings("install")
    yield settings
    local = any(requirement.endswith(_LOCAL_VERSION) for requirement in requirements)
    if local and not pip_settings.looks_nowhere_else("install"):
        places = f"{settings.get('PIP_EXTRA_INDEX_URL', '')} {CPU_INDEX}"
        yield {**settings, "PIP_EXTRA_INDEX_URL": places.strip()}


def download(lock: Path, platform: Platform, log: BuildLog) -> Path:
    """Return a folder with every wheel of a lock; fetched once, held to its hashes each time.

    Raises:
        ImageBuildError: a wheel cannot be had, or is not the one that was locked.
    """
    family = f"wheels-{lock.stem}-{platform.machine}"
    pins = parse(lock.read_text())
    key = digests.of_bytes(f"{platform}{pins}".encode())[:12]
    folder = CACHE / f"{family}-{key}"
    if _is_whole(folder, pins):
        return folder
    log.say(f"fetching the wheels of {lock.name} for {platform.machine}")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _fetch(lock, pins, platform, partial, log)
    except BaseException:
        shutil.rmtree(partial)
        raise
    for old in CACHE.glob(f"{family}-????????????"):
        shutil.rmtree(old)
    partial.replace(folder)
    return folder


def _is_whole(folder: Path, pins: Sequence[Pin]) -> bool:
    """Tell whether a folder of the cache has one file for each pin, and no other bytes."""
    paths = list(folder.glob("*"))
    accepted = {digest for pin in pins for digest in pin.hashes}
    return len(paths) == len(pins) and all(digests.of_file(path) in accepted for path in paths)


def _fetch(
    lock: Path, pins: Sequence[Pin], platform: Platform, folder: Path, log: BuildLog
) -> None:
    """Fetch all pins into a folder: from where the settings say, else from the CPU index."""
    local = [pin for pin in pins if pin.version.endswith(_LOCAL_VERSION)]
    public = [pin for pin in pins if pin not in local]
    if _downloaded(public, platform, folder, log, _settings("download")):
        raise _unmet(lock, log)
    if not local or not _downloaded(local, platform, folder, log, _settings("download")):
        return
    if pip_settings.looks_nowhere_else("download"):
        raise _unmet(lock, log)
    names = ", ".join(pin.name for pin in local)
    log.say(f"pip's settings have no such wheel of {names}: trying {urlsplit(CPU_INDEX).netloc}")
    if _downloaded(local, platform, folder, log, _settings("download", CPU_INDEX)):
        raise _unmet(lock, log)


def _downloaded(
    pins: Sequence[Pin],
    platform: Platform,
    folder: Path,
    log: BuildLog,
    settings: Mapping[str, str],
) -> int:
    """Let pip fetch pins into a folder; return its exit code."""
    requirements = folder.with_suffix(".txt")
    requirements.write_text("".join(pin.line() for pin in pins))
    command = [*pip_settings.command("download"), "--progress-bar=off", "--require-hashes"]
    command += ["--no-deps", "-d", str(folder), "-r", str(requirements), *platform.options()]
    code = log.run(command, settings)
    requirements.unlink()
    return code


def _settings(verb: str, index: str | None = None) -> dict[str, str]:
    try:
        return pip_settings.environment(verb, index=index)
    except ValueError as error:
        raise ImageBuildError(f"pip's configuration cannot be read: {error}") from error


def _pin(item: dict[str, dict[str, object]]) -> Pin:
    metadata, source = item["metadata"], item["download_info"]
    archive = source["archive_info"]
    hashes = archive.get("hashes", {}) if isinstance(archive, dict) else {}
    digest = hashes.get("sha256") or digests.of_file(_local_file(str(source["url"])))
    return Pin(_normalised(str(metadata["name"])), str(metadata["version"]), (str(digest),))


def _local_file(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _unmet(lock: Path, log: BuildLog) -> ImageBuildError:
    tail = log.tail()
    names: Sequence[str] = [first or second for first, second in _UNMET.findall(tail)]
    named = ", ".join(dict.fromkeys(names)) or "a package"
    if _OTHER_BYTES in tail:
        return ImageBuildError(
            f"{lock.name}: what was fetched has other bytes than locked."
            f" The last lines of pip:\n{tail}",
            cause="an index or a mirror that has another file under this name, or a damaged lock",
            remedy="find out who changed it before you build (`git log` of the lock,"
            " `pip config list`)",
        )
    return ImageBuildError(
        f"{lock.name}: {named} cannot be fetched as locked. The last lines of pip:\n{tail}",
        cause="the index is out of reach, or has no such file"
        + (" (torch is locked to its CPU wheel)" if "torch" in named else ""),
        remedy="make pip reach an index or a find-links folder that has it (`pip config list`),"
        " or refresh the locks with `invoke image.lock`",
    )
