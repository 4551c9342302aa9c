"""A timeline in figures: for the report of `profile`, and as a table of all nodes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

from scripts.htp import attribution
from scripts.htp.attribution import Attribution, Share
from scripts.htp.timeline import UNITS

# Operators in the report; all of them are in the table.
MOST = 20
_BUSY = "busy_microseconds"


def report(divided: Attribution) -> dict[str, Any]:
    """Return length, idle time and bounds in milliseconds, and who takes how much of the time."""
    timeline = divided.timeline
    return {
        "timeline": {
            "milliseconds": round(timeline.microseconds(timeline.cycles) / 1000, 4),
            "idle_milliseconds": round(divided.idle / 1000, 4),
            "vtcm_peak_bytes": max((size for _, size in timeline.vtcm), default=0),
        },
        "busy": divided.busy(),
        "bounds_milliseconds": divided.bounds(),
        "layers": _rows(divided.by(attribution.layer), _of_the_network),
        "kinds": _rows(divided.by(attribution.kind), _slowest),
        "operators": _operators(divided)[:MOST],
    }


def table(divided: Attribution) -> str:
    """Return all nodes as CSV; the time that each unit is busy with one has its own column."""
    text = StringIO()
    busy = {unit: f"{unit}_microseconds" for unit in UNITS}
    names = ["name", "kind", "layer", "unit", "microseconds", *busy.values()]
    writer = csv.DictWriter(text, [*names, "dram_bytes", "vtcm_bytes"], lineterminator="\n")
    writer.writeheader()
    for row in _operators(divided):
        times = row.pop(_BUSY)
        writer.writerow(row | {column: times.get(unit, 0) for unit, column in busy.items()})
    return text.getvalue()


def _operators(divided: Attribution) -> list[dict[str, Any]]:
    """Return a row of each node, the slowest first."""
    nodes = {attribution.name(node): node for node in divided.timeline.nodes}
    return [
        {
            "name": row["name"],
            "kind": attribution.kind(nodes[row["name"]]),
            "layer": attribution.layer(nodes[row["name"]]),
            **row,
        }
        for row in _rows(divided.by(attribution.name), _slowest)
    ]


def _rows(
    shares: Mapping[str, Share], order: Callable[[tuple[str, Share]], Any]
) -> list[dict[str, Any]]:
    return [{"name": name, **share.as_json()} for name, share in sorted(shares.items(), key=order)]


def _slowest(row: tuple[str, Share]) -> Any:
    name, share = row
    return -share.microseconds, name


def _of_the_network(row: tuple[str, Share]) -> Any:
    return attribution.place(row[0])
