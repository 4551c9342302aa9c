"""Python wheels for the image: chosen and fetched on the host, with the host's own pip settings.

The image is built without a network; a proxy, a private index or a custom CA is pip's business.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts import digests
from scripts.errors import ImageBuildError
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import CACHE

# A lock says "this very file"; the versions below 2.5 and above the lane's glibc cannot fit.
_OLDEST_MANYLINUX = 5
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


def resolve(requirements: Iterable[str], platform: Platform, *, deps: bool = True) -> list[Pin]:
    """Return the pins of all that `requirements` need on a platform, as pip chooses them.

    Raises:
        ImageBuildError: pip cannot satisfy them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--report", str(report), "--target", scratch]
        command += [*([] if deps else ["--no-deps"]), *platform.options(), *requirements]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageBuildError(f"pip cannot resolve the lock:\n{done.stderr.strip()}")
        chosen = json.loads(report.read_text())["install"]
    return sorted(_pin(item) for item in chosen)


def download(lock: Path, platform: Platform, log: BuildLog) -> Path:
    """Return a folder with every wheel of a lock; fetched once, checked against its hashes.

    Raises:
        ImageBuildError: a wheel cannot be had, or is not the one that was locked.
    """
    family = f"wheels-{lock.stem}-{platform.machine}"
    key = digests.of_bytes(f"{platform}{lock.read_text()}".encode())[:12]
    folder = CACHE / f"{family}-{key}"
    if folder.is_dir():
        return folder
    log.say(f"fetching the wheels of {lock.name} for {platform.machine}")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--progress-bar=off", "--require-hashes"]
    command += ["--no-deps", "-d", str(partial), "-r", str(lock), *platform.options()]
    if log.run(command):
        raise _unmet(lock, log)
    for old in CACHE.glob(f"{family}-????????????"):
        shutil.rmtree(old)
    partial.replace(folder)
    return folder


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
    return ImageBuildError(
        f"{lock.name}: {named} cannot be fetched as locked. The last lines of pip:\n{tail}",
        cause="the index is out of reach, or has no such file"
        + (" (torch is locked to its CPU wheel)" if "torch" in named else ""),
        remedy="make pip reach an index or a find-links folder that has it (`pip config list`),"
        " or refresh the locks with `invoke image.lock`",
    )
