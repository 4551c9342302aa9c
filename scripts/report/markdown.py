"""A build, or two side by side, as Markdown: for the logs and summaries of CI services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scripts.report.comparison import Comparison


def build(record: Mapping[str, Any]) -> str:
    """Return the summary of a build: its verdict, figures, time and bytes."""
    missed = record["missed"]
    verdict = f"❌ misses its gate: {', '.join(missed)}" if missed else "✅ passes its gate"
    gate = record["gate"]
    rows = [
        (name, f"{value:.6g}", str(gate.get(name, ""))) for name, value in record["figures"].items()
    ]
    rows += [(name, value, "") for name, value in record["measures"].items()]
    rows += [("pictures", record["pictures"], "")]
    rows += [("simulated time", _time(record["time"]), "")]
    rows += [("context", f"{record['bytes']['context']:,} bytes", "")]
    synthetic = ["The weights are random numbers.", ""] if record["synthetic"] else []
    head = [f"## {record['title']}", "", verdict, "", *synthetic]
    return "\n".join([*head, *_table(("figure", "measured", "gate"), rows), ""])


def together(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a row on each of several builds."""
    return "\n".join([f"## {_escaped(title)}", "", *_table(header, rows), ""])


def comparison(compared: Comparison) -> str:
    """Return two builds side by side: a table for each part of the report."""
    lines = [f"## {_escaped(compared.before)} and {_escaped(compared.after)}", ""]
    for part, rows in compared.parts().items():
        cells = [(row.name, row.before, row.after, row.change) for row in rows]
        header = (part, compared.before, compared.after, "change")
        lines += [f"### {part.capitalize()}", "", *_table(header, cells), ""]
    return "\n".join(lines)


def _time(time: Mapping[str, float]) -> str:
    return f"{time['simulated']:.3f} ms" if time else "no estimate for this SoC"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in header[1:])]
    return [_line(map(_escaped, header)), _line(rule), *(_line(map(_escaped, row)) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
