"""Jobs on this machine's own cores: as many at a time as its memory holds."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from scripts.sweep import machine
from scripts.sweep.attached import lifeline
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome


def at_once() -> int:
    """Return how many builds suit this machine: one a core, as each runs its stages one by one."""
    return len(os.sched_getaffinity(0))


def run(jobs: Sequence[Job], count: int, memory: int) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs, each after the one that it waits for, and yield how each ended.

    Args:
        jobs: in the order in which they are to begin.
        count: how many may run at a time.
        memory: bytes that all that run may need together; one may always run.
    """
    waiting, running = list(jobs), dict[Future[Outcome], Job]()
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(count) as pool, lifeline() as stdin:
        while waiting or running:
            for job in [job for job in waiting if not job.after or job.after in outcomes]:
                if _fits(job, running.values(), count, memory):
                    waiting.remove(job)
                    running[pool.submit(machine.run, job, outcomes.get(job.after), stdin)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                outcomes[job.key] = future.result()
                yield job, outcomes[job.key]


def _fits(job: Job, running: Collection[Job], count: int, memory: int) -> bool:
    needed = job.memory + sum(other.memory for other in running)
    return not running or (len(running) < count and needed <= memory)
