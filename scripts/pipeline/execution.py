"""Builds of one network run as a graph: what has its inputs and fits beside the rest is started.

Threads wait for programs and nothing else: keys, the store and the cache are for one thread. That
one looks up what is due, starts what fits, and takes over what has ended.

A stage that fails ends its build, or each that needs it: what runs may end, and is kept, and only
what belongs to another build is started after it. What the machine lacks ends all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.console import Section
from scripts.errors import DiskFullError, EngineError, OutOfMemoryError, PipelineError
from scripts.pipeline import forecast, graph, steps
from scripts.pipeline.container import Program
from scripts.pipeline.crew import Crew, Ended
from scripts.pipeline.graph import Room, Schedule, Task
from scripts.pipeline.steps import Done, Place, Step

# What every other build would meet as well.
_OF_THE_MACHINE = (DiskFullError, EngineError)


@dataclass(frozen=True)
class Built:
    """What a build came to: the stages that are whole, in the order of the plan, and what ended it.

    `error` is the first failure, None where every stage is whole; `failed` is the name of the stage
    that it is of.
    """

    steps: list[Done]
    error: PipelineError | None = None
    failed: str = ""


@dataclass(frozen=True)
class _Started:
    step: Step
    program: Program
    section: Section


class Execution:
    """Builds of one folder, until each is whole or has failed."""

    def __init__(self, place: Place, builds: Sequence[Sequence[Task]], room: Room) -> None:
        """Take the tasks of each build, and the room that they may take together."""
        self._place, self._builds = place, builds
        every = graph.together(builds)
        past = place.store.manifests()
        costs = {task.key: forecast.cost(task.request, task.stage, past) for task in every}
        self._count = len(every)
        self._schedule = Schedule(every, costs, room)
        self._steps: dict[str, Step] = {}
        self._started: dict[str, _Started] = {}
        # What ran beside others at some time: it may have had too little memory for that alone.
        self._beside: set[str] = set()
        self._done: dict[str, Done] = {}
        self._errors: dict[str, PipelineError] = {}
        self._of_all: PipelineError | None = None

    def run(self, crew: Crew) -> None:
        """Bring all stages up to date that can be.

        Raises:
            PipelineError: what would end every build, e.g. a full disk.
            KeyboardInterrupt: a program, or this one, was interrupted; nothing runs any more.
        """
        with self._place.console.side_by_side(self._progress), crew:
            while not self._schedule.is_over:
                self._look_up()
                self._start(crew)
                if self._started:
                    self._take_over(crew.next())
        if self._of_all:
            raise self._of_all

    def results(self) -> Iterator[Built]:
        """Yield what each build came to."""
        for build in self._builds:
            done = [self._done[task.key] for task in build if task.key in self._done]
            key = next((key for key in self._errors if _has(build, key)), "")
            failed = self._steps[key].stage.name if key else ""
            yield Built(done, self._errors.get(key), failed)

    def _progress(self) -> str:
        return f"{len(self._done)} of {self._count} stages are whole"

    def _look_up(self) -> None:
        """Take what is whole, or was built before, out of the schedule."""
        while due := self._schedule.due():
            for task in due:
                step = self._place.step(task.request, task.stage)
                self._steps[task.key] = step
                if done := step.found():
                    self._end(task.key, done)

    def _start(self, crew: Crew) -> None:
        while task := self._schedule.next():
            step, section = self._steps[task.key], self._place.console.section(task.stage.name)
            program = step.program()
            section.detail(" ".join(program.command))
            self._started[task.key] = _Started(step, program, section)
            crew.start(task.key, program, section)
        if len(self._started) > 1:
            self._beside |= set(self._started)

    def _take_over(self, ended: Ended) -> None:
        started = self._started.pop(ended.key)
        try:
            out = steps.out_of(started.program)
            done = started.step.ended(ended.outcome, ended.seconds, out)
        except PipelineError as error:
            self._fail(ended, started, error)
        else:
            started.section.finished(ended.seconds)
            self._end(ended.key, done)

    def _end(self, key: str, done: Done) -> None:
        self._done[key] = done
        self._schedule.end(key)

    def _fail(self, ended: Ended, started: _Started, error: PipelineError) -> None:
        if isinstance(error, OutOfMemoryError) and ended.key in self._beside:
            self._beside.discard(ended.key)
            started.section.failed("out of memory beside others: it runs again by itself")
            self._schedule.again(ended.key)
            return
        started.section.failed(f"after {ended.seconds:.1f} s{self._waiting()}")
        if not self._errors:
            self._place.console.last = ended.outcome.tail.splitlines()
            self._place.console.places = started.step.places(started.program)
        self._errors[ended.key] = error
        if isinstance(error, _OF_THE_MACHINE):
            self._of_all = self._of_all or error
        self._schedule.fail(ended.key)
        self._schedule.only(self._alive())

    def _alive(self) -> set[str]:
        """Return the keys of the tasks that builds without an error still need."""
        builds = () if self._of_all else ({task.key for task in build} for build in self._builds)
        return {key for keys in builds if keys.isdisjoint(self._errors) for key in keys}

    def _waiting(self) -> str:
        """Return what runs on after a failure, in words."""
        names = [started.step.stage.name for started in self._started.values()]
        return f"; {', '.join(names)} may end" if names else ""


def _has(build: Sequence[Task], key: str) -> bool:
    return any(task.key == key for task in build)
