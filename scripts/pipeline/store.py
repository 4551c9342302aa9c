"""Artefacts of one model on disk: whole, or not there.

A stage writes under `.partial/<stage>`. To commit it, every file is fsynced, the stage's old
manifest is removed, the files are renamed into place, and the new manifest is written last. So a
manifest on disk always speaks of files that were whole when it was written.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.artefacts import USAGE_FILE
from scripts.digests import DigestCache, files_below

Manifest = dict[str, Any]


class Store:
    """The folder `build/<model>` and what is known of its files."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.digests = DigestCache(self.root / ".digests.json")

    def manifest(self, stage: str) -> Manifest | None:
        """Return what a stage's last whole run recorded, or None."""
        try:
            found = json.loads(self._manifest_path(stage).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and "outputs" in found else None

    def is_whole(self, stage: str, key: str) -> bool:
        """Tell whether a stage ran with this key and every output still has its digest."""
        found = self.manifest(stage)
        return found is not None and found.get("key") == key and not self.damaged(stage)

    def damaged(self, stage: str) -> list[str]:
        """Return the outputs of a stage that are gone or no longer what its manifest says."""
        found = self.manifest(stage) or {"outputs": {}}
        return [name for name, kept in found["outputs"].items() if not self._holds(name, kept)]

    def partial(self, stage: str) -> Path:
        """Return an empty folder for a stage to write under."""
        folder = self.root / ".partial" / stage
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def commit(self, stage: str, key: str, facts: Mapping[str, Any]) -> Manifest:
        """Move a finished stage's files into place and record them.

        Returns:
            The manifest: key, facts, usage, and size, mode and SHA-256 of every output.
        """
        partial = self.root / ".partial" / stage
        usage = _take_usage(partial)
        names = [str(file.relative_to(partial)) for file in files_below(partial)]
        _sync_tree(partial)
        self._retire(stage, keep=names)
        for name in names:
            _move(partial / name, self.root / name)
        shutil.rmtree(partial)
        outputs = {name: self._describe(name) for name in names}
        manifest = {"stage": stage, "key": key, **facts, "usage": usage, "outputs": outputs}
        _write_synced(self._manifest_path(stage), json.dumps(manifest, indent=1, sort_keys=True))
        self.digests.save()
        return manifest

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the model's folder for this process; a second build waits for the first."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another build in {self.root}", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _manifest_path(self, stage: str) -> Path:
        return self.root / "manifests" / f"{stage}.json"

    def _holds(self, name: str, kept: Mapping[str, Any]) -> bool:
        path = self.root / name
        if not path.is_file() or path.stat().st_size != kept["size"]:
            return False
        return self.digests.file(path) == kept["sha256"]

    def _retire(self, stage: str, keep: list[str]) -> None:
        old = self.manifest(stage) or {"outputs": {}}
        self._manifest_path(stage).unlink(missing_ok=True)
        for name in set(old["outputs"]) - set(keep):
            (self.root / name).unlink(missing_ok=True)

    def _describe(self, name: str) -> dict[str, Any]:
        path = self.root / name
        found = path.stat()
        return {
            "size": found.st_size,
            "mode": f"{found.st_mode & 0o7777:04o}",
            "sha256": self.digests.file(path),
        }


def _take_usage(partial: Path) -> dict[str, Any]:
    path = partial / USAGE_FILE
    usage: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    path.unlink(missing_ok=True)
    return usage


def _sync_tree(folder: Path) -> None:
    for file in files_below(folder):
        _sync(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    _sync(target.parent)


def _write_synced(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".partial")
    with scratch.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    _sync(path.parent)
