"""Files of sweeps, and points of digits with what their builds are to have come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.sweep import grid, jobs
from scripts.sweep.grid import Sweep
from scripts.sweep.machine import Outcome
from scripts.sweep.table import Row, Table


def load(folder: Path, text: str) -> Sweep:
    file = folder / "mine.toml"
    file.write_text(text)
    return grid.load(file, {"build_dir": str(folder / "build")})


def built(milliseconds: float | None, cosine: float, seconds: float = 10) -> Outcome:
    profile = {"milliseconds": milliseconds, "context_bytes": 745472}
    verify = {"figures": {"cls_mean": 1.0, "patch_mean": cosine, "cls_p1": 0.5}}
    return Outcome("here", seconds, {"profile": profile, "verify": verify})


def failed(exit_code: int, what: str, **document: Any) -> Outcome:
    error = {"exit_code": exit_code, "what": what, "cause": "", "remedy": "try"}
    return Outcome("here", 1, {"error": error, **document})


def table(sweep: Sweep, *outcomes: Outcome | None) -> Table:
    logs = {job.point: job.log for job in jobs.of(sweep.points)}
    pairs = zip(sweep.points, outcomes, strict=True)
    return Table(sweep, [Row(point, logs[point.name], outcome) for point, outcome in pairs])
