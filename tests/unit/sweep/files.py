"""Files of sweeps, and points of digits with what their builds are to have come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.sweep import grid, jobs
from scripts.sweep import page as pages
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


def page(folder: Path) -> str:
    """The page of twelve points, with all that such a page can have."""
    text = '[grid]\nprecision = ["int8", "w8a16", "fp16", "mixed", "w4a8"]\nmax_ms = [0.12, 0.2]\n'
    text += 'input = ["float32", "uint8"]\n[within]\nmin_cosine = [0.999, 0.9999999]\n'
    sweep = load(folder, text)
    outcomes = [built(0.1 + 0.01 * number, 1 - 0.5**number) for number in range(2, 12)]
    missed = failed(16, "cls_mean is 0.97, below its gate of 0.99.", **built(0.1, 0.97).document)
    outcomes += [missed, failed(10, f"No space left on the device while writing {folder}.")]
    return pages.html(table(sweep, *outcomes), folder)
