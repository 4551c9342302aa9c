"""What a worker of Dask loads before it works: it declares what this machine has for builds.

    python -m dask worker tcp://HOST:8786 --preload scripts.sweep.worker

One worker a machine, in the checkout's folder, under any of Dask's own ways to start workers. A job
is a process of its own, so the worker itself stays small.
"""

from __future__ import annotations

from typing import Any

from scripts.pipeline import forecast
from scripts.sweep import local

# Resources of a worker: bytes, and builds at a time.
MEMORY, BUILDS = "memory", "builds"


async def dask_setup(worker: Any) -> None:
    """Declare the memory that is free now, and how many builds the cores suit."""
    resources = {MEMORY: forecast.available_memory(), BUILDS: local.at_once()}
    # Before the worker is known to its scheduler, which is then told of them with the rest.
    worker.state.total_resources.update(resources)
    worker.state.available_resources.update(resources)
