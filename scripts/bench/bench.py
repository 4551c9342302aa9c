"""Time, peak memory and simulated latency, beside the plain ONNX Runtime recipe, in one run.

Times of a shared machine drift, so only ratios within one run count.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts import artefacts
from scripts.bench import recipe
from scripts.console import size
from scripts.errors import UsageError
from scripts.pipeline import plan, request, summary
from scripts.pipeline.build import Builder
from scripts.pipeline.mount import Mount
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request

# Simulating a large network takes longer than building it, and the recipe does not do it; report
# and package read what it says.
LEFT_OUT = {"verify", "report", "package"}
# The stages up to the binary; the profile is listed, but does not count in the ratio.
CHAIN = ("export", "lower", "audit", "quantize", "convert", "compile", "context")
PEER_ESTIMATE = "peer_ctx.estimate.json"


@dataclass(frozen=True)
class Cost:
    """What a stage took: wall-clock seconds, and the largest resident set in bytes."""

    stage: str
    seconds: float
    peak_memory: int


def check(base: Request, precisions: Sequence[str], out: Path) -> None:
    """Refuse a comparison that would fail after hours, and make the folder of `out`.

    Raises:
        UsageError: a name is unknown, there is nothing to compare, the target has no estimate, or
            `out` is a folder.
    """
    for precision in precisions:
        _alike(base, precision)
    if not base.model.layers:
        raise UsageError(
            f"The plain recipe has no configuration of {base.model.name}.",
            remedy="compare a ViT model, e.g. --model vits16",
        )
    if base.target.timed_by:
        raise UsageError(
            f"There is no estimate for {base.target.name}: there are no times to compare.",
            remedy=f"--target {base.target.timed_by}",
        )
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder.", remedy="give a file: the result is JSON")
    out.parent.mkdir(parents=True, exist_ok=True)


def run(builder: Builder, base: Request, precisions: Sequence[str], out: Path) -> None:
    """Build each precision from nothing, run the peer beside it, and write `out` as JSON."""
    results: dict[str, Any] = {}
    # The comparison comes first; measuring what the rewrites save takes longer.
    for measure in (_compare, _gains):
        for precision in precisions:
            with _fresh(base, precision) as build:
                results.setdefault(precision, {}).update(measure(builder, build))
            out.write_text(json.dumps(results, indent=1) + "\n")
    for precision, result in results.items():
        _show(builder, f"{base.model.name} {base.size} {precision}", result)
    builder.console.note(f"written to {out}")


@contextmanager
def _fresh(base: Request, precision: str) -> Iterator[Request]:
    """Yield a build in a new folder, which is deleted afterwards."""
    folder = Path("build").resolve() / f"bench-{os.getpid()}"
    try:
        # One by one: what runs beside others takes longer.
        yield _alike(base, precision, build_dir=str(folder), gate=False, jobs="1")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alike(base: Request, precision: str, **others: str | bool) -> Request:
    """Return a request for the same network in a precision."""
    return request.make(
        model=base.model.name,
        size=str(base.size),
        precision=precision,
        target=base.target.name,
        weights=base.weights,
        **others,
    )


def _compare(builder: Builder, build: Request) -> dict[str, Any]:
    """Return the costs of our stages and of the recipe, and the simulated times of both."""
    stages = timed(build)
    ours = _costs(builder, build, stages)
    warm = _warm_seconds(builder, build, stages)
    profile = summary.report(build.root / artefacts.profile_report(build.precision.name))
    peer, milliseconds = _peer(builder, build)
    simulated = {"ours": profile["milliseconds"], "peer": milliseconds}
    return _result(ours, peer, warm) | {"simulated_milliseconds": simulated, "profile": profile}


def timed(build: Request) -> list[Stage]:
    """Return the stages of a build whose time is taken."""
    return [stage for stage in plan.stages(build) if stage.verb not in LEFT_OUT]


def _gains(builder: Builder, build: Request) -> dict[str, Any]:
    """Return what every rewrite of `lower` saves, on shallow twins of the model."""
    arguments = _names(build)
    builder.build(build, [Stage("gains", "gains", arguments, room="bench")])
    return {"lowering": summary.report(build.root / artefacts.GAINS)}


def _peer(builder: Builder, build: Request) -> tuple[list[Cost], float]:
    """Return the costs of the recipe's steps, and the simulated milliseconds of its binary."""
    fresh = replace(build, build_dir=build.build_dir / "peer")
    calibration = build.root / artefacts.image_set("calibration")
    stages = [_peer_stage(fresh, step, calibration) for step in recipe.steps(build.precision)]
    costs = _costs(builder, fresh, stages)
    estimate = summary.report(fresh.root / PEER_ESTIMATE)
    return costs, estimate["microseconds"] / 1000


def _peer_stage(build: Request, step: str, calibration: Path) -> Stage:
    arguments = ("--step", step, "--work", "/build", "--calibration", "/calibration")
    mounts = (Mount(calibration, "/calibration"),)
    return Stage(f"peer-{step}", "peer", arguments + _names(build), mounts=mounts, room="bench")


def _names(build: Request) -> tuple[str, ...]:
    names = ("--model", build.model.name, "--size", str(build.size))
    return (*names, "--precision", build.precision.name, "--target", build.target.name)


def _costs(builder: Builder, build: Request, stages: Sequence[Stage]) -> list[Cost]:
    done = builder.build(build, stages)
    return [
        Cost(
            result.stage.name,
            result.manifest["seconds"],
            result.manifest["usage"]["peak_memory_bytes"],
        )
        for result in done
    ]


def _warm_seconds(builder: Builder, build: Request, stages: Sequence[Stage]) -> float:
    started = time.monotonic()
    builder.build(build, stages)
    return time.monotonic() - started


def _result(ours: list[Cost], peer: list[Cost], warm: float) -> dict[str, Any]:
    chain = [cost for cost in ours if cost.stage.split("-")[0] in CHAIN]
    return {
        "ours": [vars(cost) for cost in ours],
        "peer": [vars(cost) for cost in peer],
        "warm_rebuild_seconds": round(warm, 2),
        "time_ratio": round(_seconds(chain) / _seconds(peer), 3),
        "peak_memory_ratio": round(_peak(chain) / _peak(peer), 3),
    }


def _seconds(costs: Sequence[Cost]) -> float:
    return sum(cost.seconds for cost in costs)


def _peak(costs: Sequence[Cost]) -> int:
    return max(cost.peak_memory for cost in costs)


def _show(builder: Builder, title: str, result: dict[str, Any]) -> None:
    rows = [
        (f"{cost['seconds']:.1f} s", size(cost["peak_memory"]), cost["stage"])
        for cost in (*result["ours"], *result["peer"])
    ]
    builder.console.table(title, rows)
    ratios = f"time {result['time_ratio']}, peak memory {result['peak_memory_ratio']}"
    builder.console.note(f"export to context, ours / plain recipe: {ratios}")
    simulated = result["simulated_milliseconds"]
    builder.console.note(
        f"simulated inference: {simulated['ours']:.2f} ms, plain recipe {simulated['peer']:.2f} ms"
    )
    builder.console.table("what each rewrite saves, us a layer", _saved(result["lowering"]))
    builder.console.note(f"nothing changed, build again: {result['warm_rebuild_seconds']} s")


def _saved(lowering: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = [(f"{gain['saved']:+.0f}", gain["rewrite"]) for gain in lowering["rewrites"]]
    none, every = (lowering[f"microseconds_{key}"] for key in ("without_any", "with_all"))
    return [*rows, (f"{none:.0f} -> {every:.0f}", "none and all of them")]
