"""One stage on its way: its key, what is known of it already, its program, what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts import artefacts, digests, errors, refusal, source
from scripts.console import Console
from scripts.image.image import Image
from scripts.package.licences import texts
from scripts.pipeline import container, facts, hub, plan, space
from scripts.pipeline.cas import Manifest
from scripts.pipeline.container import Outcome, Program
from scripts.pipeline.mount import Mount
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
    """A stage that is whole, and whether it had to run, or where it was built before.

    `origin` names the store or the cache that it came from; it is empty where it did not.
    """

    stage: Stage
    manifest: Manifest
    ran: bool
    origin: str = ""

    @property
    def restored(self) -> bool:
        """Whether it came from where it was built before."""
        return bool(self.origin)

    @property
    def is_new(self) -> bool:
        """Whether the folder was another one before."""
        return self.ran or self.restored


@dataclass(frozen=True)
class Place:
    """Where stages are brought up to date: a folder, what it may take from, and who is told."""

    image: Image
    console: Console
    store: Store
    shared: SharedCache
    memory_bytes: int = 0
    variation: Variation = AS_IT_IS

    def step(self, request: Request, stage: Stage) -> Step:
        """Return a stage whose inputs are whole, with its key."""
        description = self._facts(request) if stage.describes else ""
        key, inputs = key_of(self.image, request, self.store, stage, description)
        known = {
            "inputs": inputs,
            "code": source.digest(stage.module),
            "image": self.image.content_digest,
            "sdk": _sdk_id(request),
            "synthetic": request.synthetic,
        }
        return Step(self, request, stage, key, known, description)

    def _facts(self, request: Request) -> str:
        gathered = facts.gather(request, self.image, self.store.digests.tree, self._revision)
        return json.dumps(gathered, sort_keys=True)

    @cached_property
    def _revision(self) -> dict[str, str]:
        return source.revision()


@dataclass(frozen=True)
class Step:
    """A stage with its key; `known` goes into its manifest, `description` to its program."""

    place: Place
    request: Request
    stage: Stage
    key: str
    known: Mapping[str, Any]
    description: str

    def found(self) -> Done | None:
        """Return the stage where it is whole, or was built before, here or elsewhere."""
        done = self._whole() or self._back()
        return self._offered(done) if done else None

    def program(self) -> Program:
        """Return the program to run, on a new folder for what it writes."""
        store, stage = self.place.store, self.stage
        out = store.partial(stage.name, resumes=stage.resumes)
        (out / refusal.NAME).unlink(missing_ok=True)
        program = Program(
            command=["python", "-m", stage.module, "--out", "/out", *stage.arguments],
            mounts=[*_standing_mounts(self.request, out), *stage.mounts],
            environment={
                artefacts.FACTS_VARIABLE: self.description,
                refusal.VARIABLE: f"/out/{refusal.NAME}",
            },
            network=hub.network() if stage.network else "none",
            private=hub.private() if stage.network else {},
            memory_bytes=self.place.memory_bytes,
        )
        return self.place.variation.applied(program)

    def places(self, program: Program) -> dict[str, Path]:
        """Return what the paths that the program sees are on this machine."""
        return _places(self.request, self.stage, out_of(program))

    def ended(self, outcome: Outcome, seconds: float, out: Path) -> Done:
        """Take over what the program wrote into a folder.

        Raises:
            PipelineError: the class that its exit code names.
            KeyboardInterrupt: it was interrupted.
        """
        store = self.place.store
        try:
            check(self.request, self.stage, outcome, out)
        except errors.GateError as error:
            error.measured = store.set_aside(self.stage.name) if self.stage.judges else None
            raise
        record = {**self.known, "seconds": round(seconds, 2)}
        manifest = store.commit(self.stage.name, self.key, record)
        self._keep()
        return self._offered(Done(self.stage, manifest, ran=True))

    def _offered(self, done: Done) -> Done:
        """Return a stage, once the shared cache has or has seen it."""
        if not self.stage.network:
            self.place.shared.offer(self.stage.name, self.key, self.known, ran=done.ran)
        self.place.store.digests.save()
        return done

    def _whole(self) -> Done | None:
        """Return the stage where its outputs are what they have to be, or None."""
        store, name = self.place.store, self.stage.name
        if not store.is_whole(name, self.key):
            return None
        self.place.console.skipped(name)
        store.forget_failed(name)
        if not store.contents.result_path(self.key).exists():
            self._keep()
        return Done(self.stage, store.manifest(name) or {}, ran=False)

    def _back(self) -> Done | None:
        """Return the stage where it was built before, here or elsewhere, or None."""
        self._say_damage()
        name = self.stage.name
        manifest, origin = self.place.store.restore(name, self.key), "the store"
        if manifest is None and not self.stage.network:
            manifest = self.place.shared.bring(name, self.key, self.known)
            origin = "the shared cache"
        if manifest is None:
            return None
        self.place.console.restored(name, origin)
        return Done(self.stage, manifest, ran=False, origin=origin)

    def _keep(self) -> None:
        """Keep a stage's result by its key, except what came from elsewhere and may differ there.

        The result is whole without that: no room for it is no failure.
        """
        if self.stage.network:
            return
        name, console = self.stage.name, self.place.console
        try:
            differing = self.place.store.keep(name)
        except OSError as error:
            console.note(f"{name} is not kept for other builds: {error}")
            return
        if differing:
            console.note(f"{name} gave other bytes than before: {', '.join(differing)}")

    def _say_damage(self) -> None:
        store = self.place.store
        for name in store.damaged(self.stage.name):
            if not store.is_of_another(name):
                text = f"{name} is not what it was when it was built: making it again"
                self.place.console.note(text)


def key_of(
    image: Image, request: Request, store: Store, stage: Stage, description: str
) -> tuple[str, dict[str, str]]:
    """Return the hash of all that can change a stage's result, and the digests of its inputs."""
    inputs = store.inputs(stage.inputs)
    inputs |= {
        mount.target: store.digests.tree(mount.source) for mount in stage.mounts if mount.keyed
    }
    parts = {
        "code": source.digest(stage.module),
        "container": container.digest(),
        "image": image.content_digest,
        "sdk": _sdk_digest(request, store),
        "arguments": "\0".join(stage.arguments),
        **({"facts": description} if description else {}),
        **{f"input {name}": value for name, value in inputs.items()},
    }
    return digests.of_listing(parts.items()), inputs


def out_of(program: Program) -> Path:
    """Return the folder that a stage's program writes into."""
    return next(mount.source for mount in program.mounts if mount.writable)


def check(request: Request, stage: Stage, outcome: Outcome, out: Path) -> None:
    """Hold that a stage's program ended well.

    Raises:
        PipelineError: the class that its exit code names.
        KeyboardInterrupt: it was interrupted.
    """
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


def _refusal(request: Request, stage: Stage, outcome: Outcome, out: Path) -> errors.PipelineError:
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
