"""A report as one HTML file: nothing outside it is asked for, and no script runs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.filters import do_filesizeformat
from markupsafe import Markup

from scripts.report import charts, colours, figures, judged
from scripts.report.comparison import Comparison
from scripts.report.reading import WORST, headroom
from scripts.report.record import Artefact, Picture, Report, Sample, Tensor

TEMPLATE, COMPARISON, STYLE = "report.html.j2", "comparison.html.j2", "style.css"
_HERE = Path(__file__).parent
_WIDEST = 20
# Kinds of operators that have a bar, operators that have a row.
_KINDS, _OPERATORS = 12, 10
# Contact sheet: columns, and the side of a picture in pixels.
_COLUMNS, _SIDE = 16, 48
_WORDS = {
    "cls": "CLS,",
    "patch": "patches,",
    "snr": "signal to noise,",
    "db": "dB",
    "max": "largest",
    "abs": "error",
    "min": "lowest",
}
_TRAFFIC = {
    "weights and input, filled": "input_fill_bytes",
    "intermediates, filled": "intermediate_fill_bytes",
    "intermediates, spilled": "intermediate_spill_bytes",
    "output, spilled": "output_spill_bytes",
}
_BOUNDS = {
    "ddr": "bound: bytes from and to DDR at its bandwidth",
    "matrix_unit": "bound: the matrix unit's own work",
}
_UNITS = {
    "HMX": "HMX, the matrix unit",
    "HVX": "HVX, all vector threads",
    "DMA": "DMA",
    "scalar": "main thread, orders and waits",
}


def html(report: Report) -> str:
    """Return the page: the same text for the same report."""
    shown = {**_features(report), **_faithfulness(report), **_ranges(report), **_build(report)}
    shown |= _time(report.profile)
    return rendered(
        _HERE / TEMPLATE,
        report=report,
        sections=_sections(report),
        finding=_finding(report),
        colours=colours.scale(6),
        work=_work(report.profile),
        boards=report.run.boards if report.run else (),
        frontier=_frontier(report),
        sheet=colours.sheet(report.calibration, _COLUMNS, _SIDE),
        record=_as_is(embedded(figures.of(report))),
        **shown,
    )


def _finding(report: Report) -> str:
    observed = () if "encodings" in report.facts else report.calibration
    return judged.finding(report.verdict, report.layers, report.samples, observed)


def side_by_side(compared: Comparison) -> str:
    """Return the page of two builds."""
    return rendered(_HERE / COMPARISON, compared=compared)


def rendered(template: Path, **shown: Any) -> str:
    """Return the page of a template: the style of all pages, and what it is to show."""
    style = _as_is((_HERE / STYLE).read_text())
    return _environment(template.parent).get_template(template.name).render(style=style, **shown)


def embedded(record: Mapping[str, Any]) -> str:
    """Return JSON that may stand inside a script element."""
    return json.dumps(record, sort_keys=True).replace("<", "\\u003c")


def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "percent": _percent}
    return environment


def _as_is(text: str) -> Markup:
    """Return text of ours that is not to be escaped."""
    return Markup(text)  # noqa: S704


def words(name: str) -> str:
    """Return the name of a figure in words: `cls_p1` becomes "CLS, p1"."""
    return " ".join(_WORDS.get(part, part) for part in name.split("_"))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if share < 10 else f"{share:.0f} times"


def _sections(report: Report) -> list[tuple[str, str]]:
    sections = [
        ("features", "Features", report.samples),
        ("faithfulness", "Faithfulness", True),
        ("ranges", "Widths and ranges", True),
        ("time", "Time", True),
        ("frontier", "Frontier", report.frontier),
        ("build", "Build", True),
        ("calibration", "Calibration", True),
    ]
    return [(name, title) for name, title, there in sections if there]


def _features(report: Report) -> dict[str, Any]:
    if not report.samples:
        return {"tiles": []}
    rgb = colours.components(report.samples)
    rows = zip(report.samples, rgb, strict=True)
    return {"tiles": [list(_tiles(sample, *pair)) for sample, pair in rows]}


def _tiles(sample: Sample, reference: Any, context: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield a row of pictures: address, caption, and the frame of a patch where there is one."""
    patch = colours.salient(sample.reference)
    rows, columns = sample.reference.shape[:2]
    frame = {
        "left": round(100 * patch[1] / columns, 3),
        "top": round(100 * patch[0] / rows, 3),
        "width": round(100 / columns, 3),
        "height": round(100 / rows, 3),
    }
    picture = sample.picture
    yield colours.photograph(picture.pixels), picture.source, frame
    yield colours.tile(reference), "float32, components", None
    yield colours.tile(context), "context, components", None
    if picture.patches is not None:
        mean = f"cosines, mean {picture.patches.mean():.4f}"
        yield colours.tile(colours.losses(picture.patches)), mean, None
    for name, features in (("float32", sample.reference), ("context", sample.context)):
        likeness = colours.similarity(features, patch)
        yield colours.tile(likeness), f"{name}, like the framed patch", frame


def _faithfulness(report: Report) -> dict[str, Any]:
    verdict = report.verdict
    cls = np.array([picture.cosine for picture in report.pictures])
    patches = [p.patches.ravel() for p in report.pictures if p.patches is not None]
    histograms = []
    kinds = ((cls, "CLS", "cls"), (np.concatenate([*patches, np.zeros(0)]), "patches", "patch"))
    for values, noun, name in kinds:
        if not len(values) or (name == "cls" and not verdict.has_cls):
            continue
        bounds = {key.split("_")[1]: b for key, b in verdict.gate.items() if key.startswith(name)}
        chart = charts.cosines(values, bounds, noun)
        caption = f"{noun}: {len(values)} cosines with float32; each step to the right is a digit 9"
        histograms.append((chart, caption))
    layers = report.layers
    return {
        "histograms": histograms,
        "residual": charts.residual(layers) if layers else "",
        "steepest": charts.steepest(layers) if layers else "",
        "worst": dict(_worst(report)),
    }


def _worst(report: Report) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the pictures that lose the most, by CLS and by the mean of their patches."""
    if report.pictures:
        by_cosine = sorted(report.pictures, key=lambda picture: picture.cosine)
        yield report.verdict.noun, [_strip(picture) for picture in by_cosine[:WORST]]
    means = {i: p.patches.mean() for i, p in enumerate(report.pictures) if p.patches is not None}
    if means and report.verdict.has_cls:
        places = sorted(means, key=lambda place: means[place])
        yield "patches", [_strip(report.pictures[place]) for place in places[:WORST]]


def _strip(picture: Picture) -> dict[str, Any]:
    patches = picture.patches
    return {
        "source": picture.source,
        "picture": colours.photograph(picture.pixels),
        "patches": "" if patches is None else colours.tile(colours.losses(patches)),
        "cosine": picture.cosine,
        "mean": None if patches is None else float(patches.mean()),
        "least": None if patches is None else float(patches.min()),
    }


def _ranges(report: Report) -> dict[str, Any]:
    counts = {
        f"{bits} bits": sum(tensor.bits == bits for tensor in report.tensors)
        for bits in sorted({tensor.bits for tensor in report.tensors})
    }
    return {
        "bits": charts.shares(counts, "Activations by bits", "{:.0f} activations".format),
        "widest": list(_widest(report.tensors)),
        "headroom": headroom(report.tensors),
    }


def _widest(tensors: Sequence[Tensor]) -> Iterator[dict[str, Any]]:
    """Yield the widest activations, those that share a range in one row."""

    def grid(tensor: Tensor) -> tuple[float, float, float, int]:
        return -tensor.magnitude, tensor.low, tensor.high, tensor.bits

    groups = [list(same) for _, same in groupby(sorted(tensors, key=grid), key=grid)]
    for same in groups[:_WIDEST]:
        first, most = same[0], groups[0][0].magnitude
        yield {
            "name": first.name,
            "bits": first.bits,
            "magnitude": first.magnitude,
            "others": len(same) - 1,
            "share": round(100 * first.magnitude / most, 1),
        }


def _time(profile: Mapping[str, Any]) -> dict[str, Markup | str]:
    """Return the charts of the compiler's estimate, empty where it has none for the SoC."""
    if profile["milliseconds"] is None:
        return {"duration": "", "traffic": ""}
    amounts = {name: profile["compiler"][key] for name, key in _TRAFFIC.items()}
    traffic = charts.shares(amounts, "Bytes from and to DDR", do_filesizeformat)
    return {"duration": charts.duration(profile), "traffic": traffic}


def _work(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the charts of the timeline; nothing where the compiler gave none."""
    if "timeline" not in profile:
        return {}
    total = 1000 * profile["timeline"]["milliseconds"]
    idle = {"idle": 1000 * profile["timeline"]["idle_milliseconds"]}
    # The compiler's own figure, as everywhere on the page: the timeline has fractions of it.
    bounds = {"simulated": profile["milliseconds"] or profile["timeline"]["milliseconds"]}
    bounds |= {_BOUNDS[name]: bound for name, bound in profile["bounds_milliseconds"].items()}

    def bars(rows: Sequence[Mapping[str, Any]], title: str) -> Markup:
        amounts = {row["name"]: row["microseconds"] for row in rows} | idle
        return charts.shares(
            amounts, title, lambda time: f"{time:,.1f} µs, {100 * time / total:.1f} %"
        )

    return {
        "layers": bars(profile["layers"], "Microseconds by layer"),
        "kinds": bars(_most(profile["kinds"]), "Microseconds by kind of operator"),
        "busy": charts.shares(
            {_UNITS[unit]: share for unit, share in profile["busy"].items()},
            "Busy share of each unit",
            lambda share: f"{100 * share:.1f} %",
        ),
        "bounds": charts.shares(
            {name: 1000 * time for name, time in bounds.items()},
            "The simulated time and its bounds",
            lambda time: f"{time / 1000:.3f} ms",
        ),
        "operators": profile["operators"][:_OPERATORS],
    }


def _most(kinds: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the kinds that take the most, and the others in one row."""
    others = sum(row["microseconds"] for row in kinds[_KINDS:])
    rest = [{"name": "all others", "microseconds": others}] if others else []
    return [*kinds[:_KINDS], *rest]


def _frontier(report: Report) -> Markup | str:
    if not report.frontier:
        return ""
    # Without an estimate of the SoC's own, the frontier has the times of the target in its stead.
    milliseconds = report.profile["milliseconds"] or report.widths["why"]["form"]["milliseconds"]
    return charts.frontier(report.frontier, milliseconds)


def _build(report: Report) -> dict[str, Any]:
    run = report.run
    files: list[Artefact] = [*report.artefacts]
    if run is None:
        return {"gantt": [], "total": 0.0, "files": files}
    total = sum(stage.seconds for stage in run.stages)
    rows, begun = [], 0.0
    for stage in run.stages:
        rows.append(
            {
                "name": stage.name,
                "seconds": stage.seconds,
                "memory": stage.memory,
                "ran": stage.ran,
                "left": round(100 * begun / total, 2),
                "width": round(max(100 * stage.seconds / total, 0.3), 2),
            }
        )
        begun += stage.seconds
    archive = [run.archive] if run.archive else []
    return {"gantt": rows, "total": total, "files": [*archive, *files]}
