"""The table of a sweep as one HTML file, in the style of a build's report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from scripts.console import size
from scripts.report import charts
from scripts.report import page as report_page
from scripts.sweep.table import MISSED, Network, Row, Table, Verdict, exactness

_CODE = re.compile(r"`([^`\n]+)`")
TEMPLATE = Path(__file__).with_name("sweep.html.j2")


def html(table: Table, folder: Path) -> str:
    """Return the page: links in it lead from `folder`."""
    record = table.record()
    return report_page.rendered(
        TEMPLATE,
        table=table,
        counts=[_counted(*entry) for entry in record["counts"].items() if entry[1]],
        prose=_prose,
        failures=[(table.label(row), row) for row in table.rows if row.errors],
        networks=[_network(table, network, folder) for network in table.networks],
        record=Markup(report_page.embedded(record)),  # noqa: S704, escaped there
    )


def _counted(state: str, count: int) -> str:
    return f"{count} {'missed their gates' if state == MISSED and count > 1 else state}"


def _prose(text: str) -> Markup:
    """Return a message, with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704, escaped here


def _network(table: Table, network: Network, folder: Path) -> dict[str, Any]:
    frontier = network.frontier
    numbers = {row.point.name: number for number, row in enumerate(frontier, 1)}
    chart = charts.builds([*map(_spot, network.timed)], [*map(_spot, frontier)]) if frontier else ""
    bests = ((best.bound, best.row) for best in network.best())
    return {
        "title": network.title,
        "chart": chart,
        "best": [
            (bound, _row(table, row, numbers, folder) if row else None) for bound, row in bests
        ],
        "rows": [_row(table, row, numbers, folder) for row in network.rows],
    }


def _spot(row: Row) -> dict[str, Any]:
    return {"milliseconds": row.milliseconds, "cosine": row.cosine}


def _row(table: Table, row: Row, numbers: Mapping[str, int], folder: Path) -> dict[str, Any]:
    return {
        "label": table.label(row),
        "state": row.state,
        "link": _link(row, folder),
        "number": numbers.get(row.point.name, ""),
        "milliseconds": "" if row.milliseconds is None else f"{row.milliseconds:g}",
        "cosine": "" if row.cosine is None else exactness(row.cosine),
        "measured": "" if row.measured is None else f"{row.measured:.3g}",
        "boards": [(verdict, _milliseconds(verdict)) for verdict in row.boards],
        "size": size(row.size) if row.size else "",
        "work": "" if row.work is None else f"{row.work:.0f} s",
    }


def _milliseconds(verdict: Verdict) -> str:
    return "" if verdict.milliseconds is None else f"{verdict.milliseconds:.3g} ms"


def _link(row: Row, folder: Path) -> str:
    """Return the address of a point's own page, empty where it has none here."""
    report = row.outcome.document.get("report") if row.outcome else None
    if not report or not Path(report).is_relative_to(folder) or not Path(report).is_file():
        return ""
    return Path(report).relative_to(folder).as_posix()
