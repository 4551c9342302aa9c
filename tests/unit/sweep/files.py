"""Files of sweeps, and points of digits with what their builds are to have come to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from scripts.pipeline.request import BUILTIN_WEIGHTS
from scripts.sweep import grid, jobs
from scripts.sweep import page as pages
from scripts.sweep.grid import Sweep
from scripts.sweep.machine import Outcome
from scripts.sweep.table import Row, Table


def load(folder: Path, text: str) -> Sweep:
    """The sweep of a text; its boards are those of `devices.toml` beside it."""
    file = folder / "mine.toml"
    file.write_text(text)
    return grid.load(file, {"build_dir": str(folder / "build")}, folder / "devices.toml")


def built(milliseconds: float | None, cosine: float, seconds: float = 10) -> Outcome:
    profile = {"milliseconds": milliseconds, "context_bytes": 745472}
    verify = {"figures": {"cls_mean": 1.0, "patch_mean": cosine, "cls_p1": 0.5}}
    stages = [{"name": "export", "seconds": 90.0}, {"name": "verify", "seconds": 33.4}]
    return Outcome("here", seconds, {"profile": profile, "verify": verify, "stages": stages})


def failed(exit_code: int, what: str, **document: Any) -> Outcome:
    error = {"exit_code": exit_code, "what": what, "cause": "", "remedy": "try"}
    return Outcome("here", 1, {"error": error, **document})


def table(sweep: Sweep, *outcomes: Outcome | None) -> Table:
    logs = {job.point: job.log for job in jobs.of(sweep.points)}
    pairs = zip(sweep.points, outcomes, strict=True)
    return Table(sweep, [Row(point, logs[point.name], outcome) for point, outcome in pairs])


def page_of_one(folder: Path) -> str:
    """The page of one point that is nearly exact, and of one whose label is a long word."""
    weights = folder / "a_checkpoint_of_transformers_with_the_name_of_its_run_and_step_123456"
    shutil.copytree(BUILTIN_WEIGHTS, weights)
    text = f'[defaults]\ngate = false\n[grid]\nweights = ["builtin", "{weights}"]\n'
    sweep = load(folder, text + "[within]\nmax_ms = 3\n")
    return pages.html(table(sweep, built(0.126, 0.99999987654321), built(1234.5678, 0.5)), folder)


def page(folder: Path) -> str:
    """The page of twelve points, with all that such a page can have."""
    text = '[grid]\nprecision = ["int8", "w8a16", "fp16", "mixed", "w4a8"]\nmax_ms = [0.12, 0.2]\n'
    text += 'input = ["float32", "uint8"]\n[within]\nmin_cosine = [0.999, 0.9999999]\n'
    sweep = load(folder, text)
    outcomes = [built(0.1 + 0.01 * number, 1 - 0.5**number) for number in range(2, 12)]
    missed = failed(16, "cls_mean is 0.97, below its gate of 0.99.", **built(0.1, 0.97).document)
    outcomes += [missed, failed(10, f"No space left on the device while writing {folder}.")]
    return pages.html(table(sweep, *outcomes), folder)
