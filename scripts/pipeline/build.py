"""Run a plan: skip what is whole, run the rest in the image, keep what finished."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import docker
from scripts.console import Console
from scripts.image.image import Image
from scripts.pipeline import container, engine, forecast, graph, interruption, space
from scripts.pipeline.crew import Crew
from scripts.pipeline.execution import Built, Execution
from scripts.pipeline.graph import Room
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request
from scripts.pipeline.shared import SharedCache
from scripts.pipeline.steps import Done, Place
from scripts.pipeline.store import Store
from scripts.pipeline.variations import AS_IT_IS, Variation

__all__ = ["Builder", "Built", "Done"]

Plan = tuple[Request, Iterable[Stage]]


@dataclass(frozen=True)
class Builder:
    """Everything a run of stages needs."""

    client: docker.DockerClient
    image: Image
    console: Console
    memory_bytes: int = 0
    variation: Variation = AS_IT_IS

    def build(self, request: Request, stages: Iterable[Stage]) -> list[Done]:
        """Bring every stage's outputs up to date, side by side where they can be.

        Raises:
            PipelineError: the class that the failing stage's exit code names.
        """
        (built,) = self.build_together([(request, stages)])
        if built.error:
            raise built.error
        return built.steps

    def build_together(self, plans: Sequence[Plan]) -> list[Built]:
        """Bring the stages of several builds of one folder up to date; they share what they can.

        Returns:
            What each came to: one that fails does not stop the others.

        Raises:
            PipelineError: what kept all of them from being built.
        """
        request = plans[0][0]
        store = Store(request.root)
        with interruption.as_ctrl_c(), space.watched(request), store.lock():
            # An earlier build that was killed may still write here.
            container.sweep(self.client)
            shared = SharedCache.of(request, store, self.console)
            place = Place(
                self.image, self.console, store, shared, self.memory_bytes, self.variation
            )
            builds = [graph.tasks(own, stages) for own, stages in plans]
            execution = Execution(place, builds, _room(request))
            execution.run(Crew(self.client, self.image.id))
        if not store.contents.has_links:
            self.console.note(f"no hard links there: {store.contents.root} holds copies")
        results = list(execution.results())
        if not any(built.error for built in results):
            shared.require_same()
        return results


def _room(request: Request) -> Room:
    """Return how many stages may run at once: one by one where files are copied to an engine.

    Such a copy is of the whole folder, which must not change meanwhile. One more than cores, as in
    Ninja, for most of a stage is one thread, or waits for the disk.
    """
    at_once = request.jobs or len(os.sched_getaffinity(0)) + 1
    return Room(at_once if engine.is_local() else 1, forecast.available_memory())
