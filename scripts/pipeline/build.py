"""Run a plan: skip what is whole, run the rest in the image, keep what finished."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from scripts import artefacts, digests, errors, refusal, source
from scripts.console import Console
from scripts.image.image import Image
from scripts.package.runtime import texts
from scripts.pipeline import container, facts, hub, plan, space
from scripts.pipeline.cas import Manifest
from scripts.pipeline.container import Mount, Program
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request
from scripts.pipeline.shared import SharedCache
from scripts.pipeline.store import Store
from scripts.pipeline.variations import AS_IT_IS, Variation

# What of a mounted SDK decides the result of some stage, apart from its Hexagon libraries.
_SDK_USED = (
    *("sdk.yaml", "bin/x86_64-linux-clang", "lib/python", "include/QNN", "share/QNN/converter"),
    *("lib/x86_64-linux-clang", "lib/aarch64-ubuntu-gcc9.4"),
)


@dataclass(frozen=True)
class Done:
    """A stage that is whole, and whether it had to run, or came from the store."""

    stage: Stage
    manifest: Manifest
    ran: bool
    restored: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the folder was another one before."""
        return self.ran or self.restored


@dataclass(frozen=True)
class Builder:
    """Everything a run of stages needs."""

    client: docker.DockerClient
    image: Image
    console: Console
    memory_bytes: int = 0
    variation: Variation = AS_IT_IS

    def build(self, request: Request, stages: Iterable[Stage]) -> list[Done]:
        """Bring every stage's outputs up to date, in order.

        Raises:
            PipelineError: the class that the failing stage's exit code names.
        """
        store = Store(request.root)
        with space.watched(request), store.lock():
            # An earlier build that was killed may still write here.
            container.sweep(self.client)
            shared = SharedCache.of(request, store, self.console)
            steps = [self._bring(request, store, shared, stage) for stage in stages]
        if not store.contents.has_links:
            self.console.note(f"no hard links there: {store.contents.root} holds copies")
        shared.require_same()
        return steps

    def _bring(self, request: Request, store: Store, shared: SharedCache, stage: Stage) -> Done:
        description = self._facts(request, store) if stage.describes else ""
        key, inputs = self._key(request, store, stage, description)
        known = {
            "inputs": inputs,
            "code": source.digest(stage.module),
            "image": self.image.content_digest,
            "sdk": _sdk_id(request),
            "synthetic": request.synthetic,
        }
        done = self._whole(store, stage, key) or self._back(store, shared, stage, key, known)
        if done is None:
            seconds = self._run(request, store, stage, description)
            manifest = store.commit(stage.name, key, {**known, "seconds": round(seconds, 2)})
            self.console.finished(stage.name, seconds)
            self._keep(store, stage)
            done = Done(stage, manifest, ran=True)
        if not stage.network:
            shared.offer(stage.name, key, known, ran=done.ran)
        store.digests.save()
        return done

    def _whole(self, store: Store, stage: Stage, key: str) -> Done | None:
        """Return a stage whose outputs are what they have to be, or None."""
        if not store.is_whole(stage.name, key):
            return None
        self.console.skipped(stage.name)
        store.forget_failed(stage.name)
        if not store.contents.result_path(key).exists():
            self._keep(store, stage)
        return Done(stage, store.manifest(stage.name) or {}, ran=False)

    def _back(
        self, store: Store, shared: SharedCache, stage: Stage, key: str, known: Mapping[str, Any]
    ) -> Done | None:
        """Return a stage that was built before, here or elsewhere, or None."""
        self._say_damage(store, stage)
        manifest, place = store.restore(stage.name, key), "the store"
        if manifest is None and not stage.network:
            manifest, place = shared.bring(stage.name, key, known), "the shared cache"
        if manifest is None:
            return None
        self.console.restored(stage.name, place)
        return Done(stage, manifest, ran=False, restored=True)

    def _facts(self, request: Request, store: Store) -> str:
        return json.dumps(facts.gather(request, self.image, store.digests.tree), sort_keys=True)

    def _key(
        self, request: Request, store: Store, stage: Stage, description: str
    ) -> tuple[str, dict[str, str]]:
        inputs = {str(path): store.digest(path) for path in stage.inputs}
        inputs |= {
            mount.target: store.digests.tree(mount.source) for mount in stage.mounts if mount.keyed
        }
        parts = {
            "code": source.digest(stage.module),
            "container": container.digest(),
            "image": self.image.content_digest,
            "sdk": _sdk_digest(request, store),
            "arguments": "\0".join(stage.arguments),
            **({"facts": description} if description else {}),
            **{f"input {name}": value for name, value in inputs.items()},
        }
        return digests.of_listing(parts.items()), inputs

    def _keep(self, store: Store, stage: Stage) -> None:
        """Keep a stage's result by its key, except what came from elsewhere and may differ there.

        The result is whole without that: no room for it is no failure.
        """
        if stage.network:
            return
        try:
            differing = store.keep(stage.name)
        except OSError as error:
            self.console.note(f"{stage.name} is not kept for other builds: {error}")
            return
        if differing:
            self.console.note(f"{stage.name} gave other bytes than before: {', '.join(differing)}")

    def _run(self, request: Request, store: Store, stage: Stage, description: str) -> float:
        self.console.started(stage.name)
        out = store.partial(stage.name, resumes=stage.resumes)
        (out / refusal.NAME).unlink(missing_ok=True)
        program = Program(
            command=["python", "-m", stage.module, "--out", "/out", *stage.arguments],
            mounts=[*_standing_mounts(request, out), *stage.mounts],
            environment={
                artefacts.FACTS_VARIABLE: description,
                refusal.VARIABLE: f"/out/{refusal.NAME}",
            },
            network=hub.network() if stage.network else "none",
            private=hub.private() if stage.network else {},
            memory_bytes=self.memory_bytes,
        )
        self.console.detail(" ".join(program.command))
        self.console.places = _places(request, stage, out)
        started = time.monotonic()
        outcome = container.run(self.client, self.image.id, self.variation.applied(program))
        try:
            self._check(request, stage, outcome, out)
        except errors.GateError as error:
            error.measured = store.set_aside(stage.name) if stage.judges else None
            raise
        return time.monotonic() - started

    def _check(self, request: Request, stage: Stage, outcome: container.Outcome, out: Path) -> None:
        if outcome.out_of_memory:
            raise errors.OutOfMemoryError(
                f"{stage.name}: the kernel ended it for want of memory.",
                cause="other programs hold the memory, or --memory is too low for this model",
                remedy="close some, raise --memory, or see `invoke doctor --model ...`",
            )
        if outcome.exit_code == errors.INTERRUPTED:
            raise KeyboardInterrupt
        if outcome.exit_code == errors.DiskFullError.exit_code:
            raise space.full(request, stage.name)
        if outcome.exit_code:
            raise _refusal(request, stage, outcome, out)

    def _say_damage(self, store: Store, stage: Stage) -> None:
        for name in store.damaged(stage.name):
            if store.is_of_another(name):
                continue
            self.console.note(f"{name} is not what it was when it was built: making it again")


def _refusal(
    request: Request, stage: Stage, outcome: container.Outcome, out: Path
) -> errors.PipelineError:
    """Return why a stage failed, in its own words where it has any."""
    places, code = _places(request, stage, out), outcome.exit_code
    if error := refusal.take(out / refusal.NAME, stage.name, code, places):
        if request.encodings and isinstance(error, errors.GateError):
            error.cause = f"the ranges of {request.encodings}, which are not ours; {error.cause}"
        return error
    return errors.with_exit_code(code)(
        f"{stage.name} ended with exit code {code}; its output says where.",
        cause="a fault of the program, which it could not name",
        remedy="run the same command again; if it ends there again, report it with the output",
    )


def _places(request: Request, stage: Stage, out: Path) -> dict[str, Path]:
    """Return what the paths that a stage sees are on this machine."""
    standing = {mount.target: mount.source for mount in _standing_mounts(request, out)}
    return {**standing, **plan.places(request, stage)}


def _standing_mounts(request: Request, out: Path) -> list[Mount]:
    mounts = [
        Mount(source.ROOT / "scripts", "/src/scripts"),
        Mount(source.ROOT / "toolchains", "/src/toolchains"),
        Mount(request.root, "/build"),
        Mount(out, "/out", writable=True),
    ]
    return mounts + ([Mount(request.sdk, "/opt/qairt")] if request.sdk else [])


def _sdk_id(request: Request) -> str:
    """Return what names the mounted SDK; openqnn is pinned by the digest of the image."""
    return (request.sdk / "sdk.yaml").read_text().strip() if request.sdk else "openqnn"


def _sdk_digest(request: Request, store: Store) -> str:
    if request.sdk is None:
        return "openqnn"
    paths = [request.sdk / name for name in _SDK_USED if (request.sdk / name).exists()]
    paths += sorted((request.sdk / "lib").glob(f"*-{request.target.arch}"))
    paths += texts(request.sdk)
    return digests.of_listing(
        (str(path.relative_to(request.sdk)), store.digests.tree(path)) for path in paths
    )
