"""What a build takes from a shared cache, and gives to it where it may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from threading import Event
from typing import Any

from scripts.console import Console
from scripts.errors import ReproducibilityError
from scripts.pipeline import cas
from scripts.pipeline.cas import Manifest
from scripts.pipeline.remote import Remote
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store

_CONNECTIONS = 4


@dataclass
class SharedCache:
    """The cache of one build, perhaps none; `writes` says that results of ours go there."""

    store: Store
    remote: Remote | None
    writes: bool = False
    _alarms: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, request: Request, store: Store, console: Console) -> SharedCache:
        """Return the cache that a request names."""
        remote = Remote(request.cache, console.note) if request.cache else None
        return cls(store, remote, request.cache_write)

    def bring(self, stage: str, key: str, known: Mapping[str, Any]) -> Manifest | None:
        """Bring a result that the cache has into the folder, every file of it hashed.

        Args:
            stage: the stage's name.
            key: its key.
            known: what a run of ours would record, the digests of code and image among it: a
                result that says otherwise is not taken.
        """
        manifest = self._theirs(stage, key, known)
        if not (self.remote and manifest and self._fetch(self.remote, manifest)):
            return None
        self.store.contents.record(manifest)
        return self.store.restore(stage, key)

    def _fetch(self, remote: Remote, manifest: Manifest) -> bool:
        """Bring the files of a result that are not in the store, some at a time.

        After one that does not come no other is asked for: a stage needs all of them.
        """
        contents = self.store.contents
        sizes = {output["sha256"]: output["size"] for output in manifest["outputs"].values()}
        missing = [sha256 for sha256 in sizes if not contents.blob(sha256).is_file()]
        is_useless = Event()

        def fetch(sha256: str) -> bool:
            is_here = not is_useless.is_set() and remote.fetch(
                sha256, sizes[sha256], contents.blob(sha256)
            )
            if not is_here:
                is_useless.set()
            return is_here

        # Its threads end with the process: an interrupted build waits for no answer.
        with ThreadPool(_CONNECTIONS) as pool:
            came = pool.map(fetch, missing, chunksize=1)
        for sha256, is_here in zip(missing, came, strict=True):
            if is_here:
                contents.accept(sha256)
        return all(came)

    def offer(self, stage: str, key: str, known: Mapping[str, Any], *, ran: bool) -> None:
        """Compare a result with what the cache has; where it may and there is none, give it ours.

        What did not run, and is not to be written, is not asked for: most builds find most whole.
        """
        if not (self.remote and (self.writes or ran)):
            return
        ours = {**(self.store.manifest(stage) or {}), **known}
        if theirs := self._theirs(stage, key, known):
            self._compare(ours, theirs)
        elif self.writes:
            self._put(ours)

    def _put(self, ours: Manifest) -> None:
        if not self.remote:
            return
        for name, output in ours["outputs"].items():
            sha256 = output["sha256"]
            if self.remote.has_file(sha256):
                continue
            if not self.remote.put_file(sha256, self.store.root / name):
                return
        self.remote.put_result(ours)

    def _compare(self, ours: Manifest, theirs: Manifest) -> None:
        """Note the files of one key that have other bytes there: a broken promise."""
        for name in cas.differing(ours, theirs):
            sides = [manifest["outputs"].get(name, {}).get("sha256") for manifest in (ours, theirs)]
            here, there = (side or "no such file" for side in sides)
            self._alarms.append(f"{ours['stage']}: {name} is {here} here, {there} in the cache")

    def require_same(self) -> None:
        """End a build, which is whole and kept, where a result of the cache is another one.

        Raises:
            ReproducibilityError: names both sides.
        """
        if not (self._alarms and self.remote):
            return
        raise ReproducibilityError(
            "\n  ".join([f"{self.remote.url} has other bytes for the same keys:", *self._alarms]),
            cause="one of the two was not built by this code in this image, or a stage of it is "
            "not reproducible",
            remedy="`invoke reproduce --vary` shows whether this machine repeats itself; what was "
            "built here is kept, the cache is as it was",
        )

    def _theirs(self, stage: str, key: str, known: Mapping[str, Any]) -> Manifest | None:
        manifest = self.remote.result(key) if self.remote else None
        expected = {**known, "stage": stage, "key": key}
        same = manifest and all(manifest.get(name) == expected[name] for name in expected)
        return manifest if same else None
