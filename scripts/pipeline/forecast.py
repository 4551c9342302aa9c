"""What a stage will take: what it took before, else what the size of its network comes to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from scripts.catalog import Model
from scripts.pipeline.cas import Manifest
from scripts.pipeline.graph import Cost
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request

# Per parameter, in the largest stage: measured on ViT-H+ (docs/figures.md).
MEMORY_PER_PARAMETER = 9
_FLOOR = 2_000_000_000
# What is recorded is the largest process of a stage: this leaves room for the others that it starts
# and for its files in memory.
_BESIDE = 1.5
# Seconds of ViT-S at 224 pixels in int8 on two cores. Of a first run their proportions count, by
# which the longest chain of stages is begun first.
_SECONDS = {"export": 8, "quantize": 25, "context": 4, "verify": 30, "package": 3}
_LEAST_SECONDS = 2


def memory(model: Model) -> int:
    """Return the bytes of memory that the largest stage of a network takes."""
    return max(_FLOOR, MEMORY_PER_PARAMETER * model.parameters)


def cost(request: Request, stage: Stage, past: Mapping[str, Manifest]) -> Cost:
    """Return what a stage is expected to take.

    Args:
        request: the build; `--memory` limits each of its stages.
        stage: the stage.
        past: manifests of earlier runs in the build's folder, by the names of their stages. Where
            this stage has none, the dearest run of its program counts: of another precision, say.
    """
    same = [past[stage.name]] if stage.name in past else []
    runs = same or [past[name] for name in past if name.split("-")[0] == stage.verb]
    peaks = [int(run.get("usage", {}).get("peak_memory_bytes", 0)) for run in runs]
    peak = int(max(peaks, default=0) * _BESIDE) or memory(request.model)
    limit = int(request.memory * 10**9) or peak
    seconds = max((float(run.get("seconds", 0)) for run in runs), default=0.0)
    return Cost(min(peak, limit), seconds or _SECONDS.get(stage.verb, _LEAST_SECONDS))


def available_memory() -> int:
    """Return the bytes of memory that programs can still take on this machine."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
