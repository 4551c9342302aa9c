"""What the store of all builds in a folder holds, and what of it may go.

A result is in use while a stage of some network's folder is the one it records. Nothing waits for a
build that runs meanwhile: whoever finds a file of the store gone makes it again.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.console import Console, size
from scripts.errors import UsageError
from scripts.pipeline import cas, options
from scripts.pipeline.build_options import BuildOptions
from scripts.pipeline.cas import Manifest
from scripts.words import counted

# Below a folder of builds: sweeps, and in each a folder of builds for every point.
SWEEPS = "sweeps"
_NETWORKS = ("*", f"{SWEEPS}/*/*/*")
_OPTION = options.of(BuildOptions)["build_dir"]
_DAY = 86400.0
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([A-Z]*)", re.ASCII)


@dataclass(frozen=True)
class Result:
    """One run of a stage: `used_at` in seconds since 1970, `in_use` where a folder shows it."""

    path: Path
    manifest: Manifest
    used_at: float
    in_use: bool

    @property
    def digests(self) -> set[str]:
        """The SHA-256 of every file of it."""
        return {output["sha256"] for output in self.manifest["outputs"].values()}

    @property
    def size(self) -> int:
        """The bytes of its files, those that other results have too among them."""
        sizes = {output["sha256"]: output["size"] for output in self.manifest["outputs"].values()}
        return sum(sizes.values())

    @property
    def stage(self) -> str:
        """The stage that ran."""
        return str(self.manifest.get("stage", ""))

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "key": self.path.name,
            "stage": self.stage,
            "size": self.size,
            "used_at": round(self.used_at),
            "in_use": self.in_use,
        }


@dataclass(frozen=True)
class Storage:
    """The store of a build folder: results, oldest use first, and the bytes of each file."""

    results: list[Result]
    files: dict[Path, int]
    used: set[str]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(self.files.values())


def look(build_dir: Path) -> Storage:
    """Read the store of a folder of builds; what is damaged in it counts as a file of no use.

    Raises:
        UsageError: there is no such folder, and it is not the one of a checkout without builds.
    """
    if not build_dir.is_dir() and build_dir != _OPTION.value(_OPTION.default):
        raise UsageError(
            f"--build-dir {build_dir}: there is no such folder.",
            remedy="give the one that builds went to",
        )
    root = build_dir / cas.NAME
    shown = list(_manifests(_shown(build_dir)))
    keys = {manifest["key"] for _, manifest in shown}
    results = [
        Result(path, manifest, path.stat().st_mtime, path.name in keys)
        for path, manifest in _manifests((root / "ac").glob("*"))
    ]
    files = {path: path.stat().st_size for path in _contents(root / "cas")}
    outputs = (output for _, manifest in shown for output in manifest["outputs"].values())
    used = {output["sha256"] for output in outputs}
    return Storage(sorted(results, key=lambda result: result.used_at), files, used)


def _contents(folder: Path) -> Iterator[Path]:
    """Yield the files that the store holds; its locks are none, and stay."""
    return (path for path in folder.glob("*/*") if path.name != cas.LOCK)


def _shown(build_dir: Path) -> Iterator[Path]:
    """Yield the manifests that networks' folders show."""
    for networks in _NETWORKS:
        yield from build_dir.glob(f"{networks}/manifests/*.json")


def show(console: Console, build_dir: Path) -> None:
    """Print every result with its size and when it was last built or taken, and the sum."""
    storage = look(build_dir)
    rows = [
        (
            result.stage,
            size(result.size),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(result.used_at)),
            "in use" if result.in_use else "",
            result.path.name[:12],
        )
        for result in storage.results
    ]
    console.table(str(build_dir / cas.NAME), rows, ("stage", "size", "last used", "", "key"))
    of_use = sum(count for path, count in storage.files.items() if path.name in storage.used)
    text = (
        f"{counted(len(rows), 'result')}, {counted(len(storage.files), 'file')}, "
        f"{size(storage.size)}; build folders use {size(of_use)} of it"
    )
    console.note(text)
    records = [result.record() for result in storage.results]
    console.result(text, results=records, size=storage.size, used=of_use)


def collect(
    console: Console, build_dir: Path, *, keep_days: float | None, max_size: int | None
) -> None:
    """Remove results of long ago, then the oldest until the rest fits, then files of no result."""
    storage = look(build_dir)
    gone = _outdated(storage, keep_days)
    if max_size is not None:
        gone += _too_much(storage, gone, max_size)
    for result in gone:
        result.path.unlink(missing_ok=True)
    removed = _sweep(storage, [result for result in storage.results if result not in gone])
    left = storage.size - removed
    text = f"removed {counted(len(gone), 'result')}, {size(removed)}; {size(left)} left"
    console.note(text)
    if max_size is not None and left > max_size:
        console.note("what is left is in use: remove folders of networks, then collect again")
    console.result(text, removed=[result.record() for result in gone], size=left)


def parse_size(text: str) -> int:
    """Return the bytes that a text means, e.g. `20GB` or `1.5 TB` (powers of ten).

    Raises:
        ValueError: it is none.
    """
    match = _SIZE.fullmatch(text.strip().upper())
    if not match or match[2] not in _UNITS:
        raise ValueError("must be a size: 500MB, 20GB")
    return int(float(match[1]) * _UNITS[match[2]])


def _manifests(paths: Iterable[Path]) -> Iterator[tuple[Path, Manifest]]:
    for path in paths:
        if manifest := cas.manifest_at(path):
            yield path, manifest


def _outdated(storage: Storage, keep_days: float | None) -> list[Result]:
    if keep_days is None:
        return []
    since = time.time() - keep_days * _DAY
    return [result for result in storage.results if not result.in_use and result.used_at < since]


def _is_coming(path: Path) -> bool:
    """Tell whether a file is being written or downloaded, or was within a day."""
    return "." in path.name and path.stat().st_mtime > time.time() - _DAY


def _too_much(storage: Storage, gone: list[Result], limit: int) -> list[Result]:
    """Return the results to remove, oldest first, so that the files of the rest fit."""
    left = [result for result in storage.results if result not in gone]
    sizes = {path.name: count for path, count in storage.files.items()}
    holders = Counter(digest for result in left for digest in result.digests)
    holders.update(storage.used)
    total, more = sum(sizes.get(digest, 0) for digest in holders), list[Result]()
    for result in left:
        if total <= limit:
            break
        if result.in_use:
            continue
        more.append(result)
        holders.subtract(result.digests)
        total -= sum(sizes.get(digest, 0) for digest in result.digests if not holders[digest])
    return more


def _sweep(storage: Storage, left: list[Result]) -> int:
    """Remove the files that no result and no folder has, and return their bytes."""
    held = storage.used.union(*(result.digests for result in left))
    removed = 0
    for path, count in storage.files.items():
        if path.name not in held and not _is_coming(path):
            path.unlink(missing_ok=True)
            removed += count
    return removed
