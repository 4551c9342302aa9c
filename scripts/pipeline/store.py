"""Artefacts of one model on disk: whole, or not there.

A stage writes into a folder of its own under `.partial`, with a name that no earlier run had: what
was killed may go on writing into the old one. To commit a stage, every file is fsynced, its old
manifest makes way for a list of all files that it had and will have, the files are renamed into
place, and the new manifest is written last. So a manifest on disk always speaks of files that were
whole when it was written, and a file of no manifest is known and does not count.

What was committed is kept by its key as well (`cas`): a stage's folder has room for one variant,
and the next one to be asked for is taken from there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, TextIO

from scripts import artefacts, digests, writing
from scripts.digests import DigestCache, files_below
from scripts.errors import ArtefactError
from scripts.pipeline import cas
from scripts.pipeline.cas import ContentStore, Manifest

_NONE: Manifest = {"outputs": {}}


class Store:
    """The folder `build/<model>` and what is known of its files."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.digests = DigestCache(self.root / ".digests.json")
        self.contents = ContentStore(self.root.parent / cas.NAME, self.digests)
        self._partials: dict[str, Path] = {}

    def manifest(self, stage: str) -> Manifest | None:
        """Return what a stage's last whole run recorded, or None."""
        return cas.manifest_at(self._manifest_path(stage))

    def manifests(self) -> dict[str, Manifest]:
        """Return what is recorded of every stage whose last run was whole, by its name."""
        known = ((stage, self.manifest(stage)) for stage in self._stages())
        return {stage: manifest for stage, manifest in known if manifest}

    def is_whole(self, stage: str, key: str) -> bool:
        """Tell whether a stage ran with this key and every output still has its digest."""
        manifest = self.manifest(stage)
        return manifest is not None and manifest.get("key") == key and not self.damaged(stage)

    def damaged(self, stage: str) -> list[str]:
        """Return the outputs of a stage that are gone or no longer what its manifest says."""
        manifest = self.manifest(stage) or _NONE
        outputs = manifest["outputs"].items()
        return [name for name, output in outputs if not self._holds(name, output)]

    def is_of_another(self, name: str) -> bool:
        """Tell whether a file is whole, but of another stage: `context` for another target, say."""
        manifests = (self.manifest(stage) or _NONE for stage in self._stages())
        outputs = (manifest["outputs"].get(name) for manifest in manifests)
        return any(output and self._holds(name, output) for output in outputs)

    def digest(self, path: PurePath) -> str:
        """Return the SHA-256 of an output, or of names and digests of all outputs below a folder.

        Raises:
            ArtefactError: no stage made it, or it is gone.
        """
        return self._digest(path, self._outputs())

    def inputs(self, paths: Iterable[PurePath]) -> dict[str, str]:
        """Return the digest of each of a stage's inputs by name.

        Raises:
            ArtefactError: as `digest`.
        """
        outputs = self._outputs()
        return {str(path): self._digest(path, outputs) for path in paths}

    def _digest(self, path: PurePath, outputs: Iterable[str]) -> str:
        folder = f"{path}/"
        names = [name for name in outputs if name == str(path) or name.startswith(folder)]
        missing = [name for name in names if not (self.root / name).is_file()]
        if missing or not names:
            raise ArtefactError(
                f"{self.root / (missing[0] if missing else path)} is missing.",
                remedy="run `invoke build` to make it",
            )
        if names == [str(path)]:
            return self.digests.file(self.root / path)
        return digests.of_listing(
            (str(PurePath(name).relative_to(path)), self.digests.file(self.root / name))
            for name in names
        )

    def partial(self, stage: str, *, resumes: bool = False) -> Path:
        """Return a folder for a stage to write under: empty, or what its last run left there."""
        parent = self.root / ".partial"
        folder = parent / f"{stage}-{uuid.uuid4().hex[:8]}"
        for old in parent.glob("*"):
            if old in self._partials.values():
                continue
            if resumes and old.name.startswith(f"{stage}-") and not folder.exists():
                old.rename(folder)
            else:
                # What still writes there, or whose files are not ours, is in nobody's way.
                shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._partials[stage] = folder
        return folder

    def commit(self, stage: str, key: str, facts: Mapping[str, Any]) -> Manifest:
        """Move a finished stage's files into place and record them.

        Returns:
            The manifest: key, facts, usage, and size, mode and SHA-256 of every output.
        """
        partial = self._partials.pop(stage)
        usage = _take_usage(partial)
        names = [str(file.relative_to(partial)) for file in files_below(partial)]
        _sync_tree(partial)
        self._retire(stage, names)
        for name in names:
            self._move(partial / name, self.root / name)
        for folder in {(self.root / name).parent for name in names}:
            _sync(folder)
        shutil.rmtree(partial, ignore_errors=True)
        self.forget_failed(stage)
        outputs = {name: self._describe(name) for name in names}
        self._retire_reports(outputs)
        manifest = {"stage": stage, "key": key, **facts, "usage": usage, "outputs": outputs}
        self._record(stage, manifest)
        self.digests.save()
        return manifest

    def keep(self, stage: str) -> list[str]:
        """Keep the result of a stage by its key, beside all that other builds made.

        Returns:
            The files that an earlier run with this key gave with other bytes; there is none.
        """
        manifest = self.manifest(stage) or _NONE
        known = self.contents.result(manifest["key"]) or manifest
        self.contents.keep(manifest, self.root)
        return cas.differing(known, manifest)

    def restore(self, stage: str, key: str) -> Manifest | None:
        """Bring the result of a key back as if its stage had just run; None where none is whole."""
        manifest = self.contents.result(key)
        if manifest is None:
            return None
        partial = self.partial(stage)
        if not self.contents.bring(manifest, partial):
            shutil.rmtree(self._partials.pop(stage), ignore_errors=True)
            return None
        (partial / artefacts.USAGE_FILE).write_text(json.dumps(manifest["usage"]))
        own = ("stage", "key", "usage", "outputs")
        return self.commit(stage, key, {k: v for k, v in manifest.items() if k not in own})

    def set_aside(self, stage: str) -> Path | None:
        """Move what a stage that failed has written to where it counts for nothing.

        Returns:
            The folder, or None where nothing was written.
        """
        partial, folder = self._partials.pop(stage), self.root / artefacts.failed(stage)
        self.forget_failed(stage)
        if not any(partial.iterdir()):
            partial.rmdir()
            return None
        folder.parent.mkdir(exist_ok=True)
        return partial.rename(folder)

    def forget_failed(self, stage: str) -> None:
        """Remove what an earlier run of a stage measured before it failed."""
        folder = self.root / artefacts.failed(stage)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others are in it, or it is not there
            folder.parent.rmdir()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the model's folder for this process; a second build waits for the first.

        Of another precision too: most stages are the same for all of them.
        """
        with held(self.root / ".lock", f"build in {self.root}"):
            yield

    def _manifest_path(self, stage: str) -> Path:
        return self.root / "manifests" / f"{stage}.json"

    def _document(self, stage: str) -> dict[str, Any]:
        try:
            document = json.loads(self._manifest_path(stage).read_text())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _record(self, stage: str, document: Mapping[str, Any]) -> None:
        text = json.dumps(document, indent=1, sort_keys=True)
        _write_synced(self._manifest_path(stage), text)

    def _outputs(self) -> list[str]:
        stages = self._stages()
        return [name for stage in stages for name in (self.manifest(stage) or _NONE)["outputs"]]

    def _stages(self) -> list[str]:
        return sorted(path.stem for path in (self.root / "manifests").glob("*.json"))

    def _holds(self, name: str, output: Mapping[str, Any]) -> bool:
        path = self.root / name
        if not path.is_file() or path.stat().st_size != output["size"]:
            return False
        return self.digests.file(path) == output["sha256"]

    def _retire(self, stage: str, coming: Iterable[str]) -> None:
        """Replace a stage's manifest by a list of its files, and remove those that do not come."""
        document = self._document(stage)
        old = {*document.get("outputs", ()), *document.get("files", ())}
        self._record(stage, {"stage": stage, "files": sorted(old.union(coming))})
        for name in old.difference(coming):
            (self.root / name).unlink(missing_ok=True)

    def _retire_reports(self, outputs: Mapping[str, Mapping[str, Any]]) -> None:
        """Remove what other stages said of context binaries that are now others.

        An archive stays: it holds all that it speaks of.
        """
        contexts = {name: outputs[name]["sha256"] for name in outputs if artefacts.is_product(name)}
        for stage in self._stages():
            document = self._document(stage)
            old = document.get("inputs", {})
            stale = any(old.get(name, contexts[name]) != contexts[name] for name in contexts)
            if stale and all(map(artefacts.is_product, document.get("outputs", ()))):
                self._retire(stage, ())
                self._remove_page(document.get("outputs", ()))

    def _remove_page(self, names: Iterable[str]) -> None:
        """Remove the page that shows files, which is written on the host and in no manifest."""
        for name in names:
            (self.root / name).with_name(artefacts.BUILD_PAGE).unlink(missing_ok=True)

    def _move(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self.digests.carry(source, target, lambda: source.replace(target))

    def _describe(self, name: str) -> dict[str, Any]:
        path = self.root / name
        status = path.stat()
        return {
            "size": status.st_size,
            "mode": f"{status.st_mode & 0o7777:04o}",
            "sha256": self.digests.file(path),
        }


@contextmanager
def held(lock: Path, activity: str) -> Iterator[None]:
    """Hold a lock for this process; a second one says who has it, and waits."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            print(f"waiting for another {activity} ({handle.read().strip()})", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        _sign(handle)
        yield


def _sign(lock: TextIO) -> None:
    """Write into a lock who holds it."""
    lock.truncate(0)
    since = time.strftime("%H:%M:%S")
    lock.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}")
    lock.flush()


def _take_usage(partial: Path) -> dict[str, Any]:
    path = partial / artefacts.USAGE_FILE
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


def _write_synced(path: Path, text: str) -> None:
    writing.replace(path, f"{text}\n".encode(), synced=True)
    _sync(path.parent)
