"""From points to jobs: what several points begin with is a job of its own, and runs once.

The plan of a point is a list of stages, each a function of those before it. Points whose plans
begin alike share a prefix: one export serves all precisions of a network. A job ends where points
part, and at the end of each point, so the jobs are the nodes of a tree of prefixes:

    images, calibrate, export ── lower, ..., package     int8
                              └─ lower, ..., package     fp16

A job runs in the folder of the first point that needs it. The others have its results from the
store of all builds here, or from the shared cache: what a job is for is never more than time, as a
point builds what it does not find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import digests, source
from scripts.pipeline import forecast, graph, plan
from scripts.pipeline.request import Request
from scripts.sweep.point import Point

_KEY_LENGTH = 16


@dataclass(frozen=True)
class Job:
    """A command of `invoke` for a folder, after the job whose key is `after`, if any.

    `key` is symbolic: two jobs of one key do the same. `point` is the name of the point that ends
    with it, empty where several go on. `memory` is in bytes, `code` what the stages are made by;
    `log_name` is of its log, that of its verb where it is empty.
    """

    key: str
    words: tuple[str, ...]
    folder: Path
    memory: int
    code: str
    after: str = ""
    point: str = ""
    log_name: str = ""

    @property
    def log(self) -> Path:
        """The file that its output goes to."""
        return self.folder / (self.log_name or f"{self.words[0]}.log")


def code() -> str:
    """Return the digest of what all stages are made by in this checkout."""
    modules = (f"scripts.stages.{verb}" for verb in plan.verbs())
    return digests.of_listing((module, source.digest(module)) for module in modules)


def of(points: Sequence[Point]) -> list[Job]:
    """Return the jobs of points, each behind the one that it waits for."""
    made_by = code()
    plans = {point.name: _prefixes(point, made_by) for point in points}
    counts = Counter(key for prefixes in plans.values() for key in prefixes)
    jobs: dict[str, Job] = {}
    for point in points:
        for job in _path(point, plans[point.name], counts, made_by):
            jobs.setdefault(job.key, job)
    return list(jobs.values())


def _prefixes(point: Point, made_by: str) -> dict[str, str]:
    """Return the verb of the last stage of each prefix of a point's plan, by a digest of both."""
    prefixes, key = {}, f"{made_by} {point.folder.parent}"
    for task in graph.tasks(point.request, plan.stages(point.request)):
        key = digests.of_bytes(f"{key} {task.key}".encode())
        prefixes[key] = task.stage.verb
    return prefixes


def _path(
    point: Point, prefixes: Mapping[str, str], counts: Mapping[str, int], made_by: str
) -> Iterator[Job]:
    """Yield the jobs from the first stage of a plan to the last."""
    memory, after, keys = _memory(point.request), "", list(prefixes)
    for key, following in zip(keys, [*keys[1:], ""], strict=True):
        verb = prefixes[key]
        if counts[key] > max(1, counts.get(following, 0)):
            job = Job(_key(verb, key), point.words(verb), point.folder, memory, made_by, after)
            yield job
            after = job.key
    last = _key("build", f"{keys[-1]} {point.name}")
    yield Job(last, point.words(), point.folder, memory, made_by, after, point.name)


def _memory(request: Request) -> int:
    """Return the bytes that the largest stage of a build takes; `--memory` lets none take more."""
    needed, limit = forecast.memory(request.model), int(request.memory * 10**9)
    return min(needed, limit) if limit else needed


def _key(verb: str, text: str) -> str:
    return f"{verb}-{digests.of_bytes(text.encode())[:_KEY_LENGTH]}"
