"""One point of a sweep: a build with a folder of its own, and the command that is that build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts import digests
from scripts.outputs import Outputs
from scripts.picture_size import PictureSize
from scripts.pipeline import contradictions, options, request, storage
from scripts.pipeline.options import Text, flag
from scripts.pipeline.request import Request

# What the command line says, for all points: where artefacts go, and what the machine is.
SHARED = ("build_dir", "cache", "cache_write", "sdk", "lane", "memory")
# Of a sweep, it is the number of builds; each of them runs its stages one by one.
JOBS = "jobs"
# What a point can be told by: all other options of a build.
OPTIONS = {
    name: entry for name, entry in options.of(Request).items() if name not in (*SHARED, JOBS)
}
_KEY_LENGTH = 8


@dataclass(frozen=True)
class Point:
    """A build of a sweep: its request, and the options that its file says."""

    request: Request
    said: tuple[str, ...]

    @classmethod
    def make(cls, sweep: str, texts: Mapping[str, Text], shared: Mapping[str, Text]) -> Point:
        """Return the point of these options, in a folder of its own below the shared build folder.

        Options that its precision has no use for are left out.

        Raises:
            PipelineError: as `request.make`.
        """
        precision = OPTIONS["precision"]
        unused = contradictions.unused(precision.value(texts.get("precision", precision.default)))
        used = {name: text for name, text in texts.items() if name not in unused}
        point = cls(request.make(**shared, **used), tuple(used))
        own = point.request.build_dir / storage.SWEEPS / sweep / point.name
        return replace(point, request=replace(point.request, build_dir=own))

    @cached_property
    def options(self) -> dict[str, str]:
        """The text of every option, of those that nobody said too."""
        return {name: as_text(getattr(self.request, name)) for name in OPTIONS}

    @cached_property
    def name(self) -> str:
        """A name that no other point has, the same in every sweep."""
        key = digests.of_listing(self.options.items())[:_KEY_LENGTH]
        request = self.request
        return f"{request.network}-{request.precision.name}-{request.target.name}-{key}"

    @property
    def folder(self) -> Path:
        """The folder that this point alone builds in."""
        return self.request.build_dir

    def words(self, verb: str = "build") -> tuple[str, ...]:
        """Return the command of `invoke` that builds this point, or it as far as a stage."""
        names = (*self.said, *(name for name in SHARED if getattr(self.request, name)))
        return (verb, *(word for name in names for word in self._words(name)))

    def _words(self, name: str) -> tuple[str, ...]:
        value = getattr(self.request, name)
        if isinstance(value, bool):
            return (flag(name) if value else f"--no-{flag(name)[2:]}",)
        return (f"{flag(name)}={as_text(value)}",)


def as_text(value: Any) -> str:
    """Return the text that stands for a checked value on the command line, whole paths in it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, (str, Path, float, PictureSize, Outputs)):
        return str(value) if value else ""
    return str(value.name)
