"""A build as a graph: which stages wait for which, and which may start beside those that run.

Nothing here runs, reads or prints: a build runs its stages by a `Schedule`, and whoever runs many
builds elsewhere takes the tasks, their keys and what they need to another scheduler:

    every = graph.tasks(request, plan.stages(request))
    schedule = Schedule(every, {task.key: forecast.cost(...) for task in every}, room)
    while not schedule.is_over:
        for task in schedule.due(): ...      # whole already: schedule.end(task.key)
        while task := schedule.next(): ...   # start it
        ...                                  # wait, then schedule.end(key) or schedule.fail(key)

A key is known before anything has run: equal keys are stages of equal programs on equal arguments
and files, whatever build, folder or precision they belong to. So the tasks of several builds are
put together by their keys, and what they share is there once (`together`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from scripts import digests
from scripts.pipeline import facts
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request

# Digits of a key's digest: two of a million stages share one with a chance of 3e-8.
_DIGITS = 16


@dataclass(frozen=True)
class Task:
    """A stage of a build; `needs` are the keys of the tasks that make what it reads.

    `key` is the stage's name and a digest, e.g. `export-1f0c2a9be4d85713`. The files of the weights
    and pictures stand in it by their paths: it holds for as long as those do not change.
    """

    key: str
    request: Request
    stage: Stage
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a stage is expected to take: bytes of memory, and seconds where that is known."""

    memory: int
    seconds: float = 1.0


@dataclass(frozen=True)
class Room:
    """How many stages may run at once, and the bytes of memory that they may take together.

    Where only one may, they run in the order of the plan.
    """

    stages: int
    memory: int


def tasks(request: Request, stages: Iterable[Stage]) -> list[Task]:
    """Return the tasks of a plan, each after those that it needs.

    A stage needs those before it that make a file it reads. What none of them makes has to be in
    the build's folder already.
    """
    known: list[Task] = []
    for stage in stages:
        needs = tuple(task.key for task in known if _feeds(task.stage, stage))
        known.append(Task(_key(request, stage, needs), request, stage, needs))
    return known


def together(builds: Iterable[Sequence[Task]]) -> list[Task]:
    """Return the tasks of several builds, what they share once, each after those that it needs."""
    return list({task.key: task for build in builds for task in build}.values())


class Schedule:
    """What may start next: what has its inputs, and fits beside what runs.

    A task is waiting until all that it needs has ended, then due, then queued, running and ended.
    One that fails takes with it all that waits for what it would have made.
    """

    def __init__(self, tasks: Sequence[Task], costs: Mapping[str, Cost], room: Room) -> None:
        """Take tasks, each after those that it needs, the cost of each by its key, and the room."""
        self._waiting = {task.key: task for task in tasks}
        self._needs = {task.key: set(task.needs) & set(self._waiting) for task in tasks}
        self._costs, self._room = dict(costs), room
        ranks = _ranks(tasks, self._costs) if room.stages > 1 else {}
        self._order = sorted(self._waiting, key=lambda key: -ranks.get(key, 0))
        self._queued: dict[str, Task] = {}
        self._running: dict[str, Task] = {}

    @property
    def running(self) -> list[Task]:
        """The tasks that run, the first to start first."""
        return list(self._running.values())

    @property
    def is_over(self) -> bool:
        """Whether nothing runs or may ever start."""
        return not (self._waiting or self._queued or self._running)

    def due(self) -> list[Task]:
        """Return the tasks whose inputs have become whole, each once, in the order of the plan.

        They are queued. One that turns out to be whole already takes no room: `end` it at once.
        """
        due = {key: task for key, task in self._waiting.items() if not self._needs[key]}
        self._waiting = {key: task for key, task in self._waiting.items() if key not in due}
        self._queued |= due
        return list(due.values())

    def next(self) -> Task | None:
        """Start a queued task and return it; None while none fits beside what runs.

        The one that most work waits for comes first. A task that fits nowhere runs by itself.
        """
        for key in self._order:
            if key in self._queued and self._fits(key):
                self._running[key] = self._queued.pop(key)
                return self._running[key]
        return None

    def end(self, key: str) -> None:
        """Note that a task's outputs are whole."""
        self._leave(key)
        for needs in self._needs.values():
            needs.discard(key)

    def fail(self, key: str) -> list[Task]:
        """Note that a task's outputs will not come; return those that wait for them in vain."""
        self._leave(key)
        lost = [key]
        for other in self._waiting:  # each after those that it needs
            if not self._needs[other].isdisjoint(lost):
                lost.append(other)
        return [self._waiting.pop(other) for other in lost[1:]]

    def again(self, key: str) -> None:
        """Queue a task that ran out of memory beside others, to run by itself."""
        task = self._leave(key)
        self._queued[key] = task
        self._costs[key] = replace(self._costs[key], memory=self._room.memory + 1)

    def only(self, keys: Collection[str]) -> None:
        """Start nothing more but what is among the keys; what runs may end."""
        for tasks in (self._waiting, self._queued):
            for key in tasks.keys() - set(keys):
                del tasks[key]

    def _leave(self, key: str) -> Task:
        return self._running.pop(key) if key in self._running else self._queued.pop(key)

    def _fits(self, key: str) -> bool:
        if not self._running:
            return True
        memory = sum(self._costs[other].memory for other in (*self._running, key))
        return len(self._running) < self._room.stages and memory <= self._room.memory


def _ranks(tasks: Sequence[Task], costs: Mapping[str, Cost]) -> dict[str, float]:
    """Return the seconds of the longest chain of tasks that each is the first of.

    rank(t) = seconds(t) + the largest rank of those that need t: what the build takes from its
    start on, whatever the room (the upward rank of HEFT, Topcuoglu et al. 2002).
    """
    ranks: dict[str, float] = {}
    for task in reversed(tasks):
        behind = (ranks[other.key] for other in tasks if task.key in other.needs)
        ranks[task.key] = costs[task.key].seconds + max(behind, default=0.0)
    return ranks


def _feeds(maker: Stage, reader: Stage) -> bool:
    """Tell whether one stage makes a file that another reads."""
    return any(_overlap(output, input) for output in maker.outputs for input in reader.inputs)


def _overlap(output: PurePosixPath, input: PurePosixPath) -> bool:
    return output.is_relative_to(input) or input.is_relative_to(output)


def _key(request: Request, stage: Stage, needs: Sequence[str]) -> str:
    parts = dict(_parts(request, stage), needs=list(needs))
    digest = digests.of_bytes(json.dumps(parts, sort_keys=True).encode())
    return f"{stage.name}-{digest[:_DIGITS]}"


def _parts(request: Request, stage: Stage) -> Iterator[tuple[str, object]]:
    """Yield what a stage's result can depend on, by name, apart from what others make for it."""
    yield "program", stage.module
    yield "arguments", stage.arguments
    yield "mounts", [(mount.target, str(mount.source)) for mount in stage.mounts]
    yield "surroundings", [request.lane, str(request.sdk)]
    if stage.describes:
        yield "options", {name: repr(value) for name, value in facts.deciding(request).items()}
