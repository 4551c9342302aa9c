"""Write what `scripts.bench.timelines` measured into docs/lowering.md, a table a file.

python -m scripts.bench.record_timelines TIMELINES.JSON...
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts import catalog
from scripts.bench.record_gains import PAGE
from scripts.bench.timelines import AS_BUILT, Kinds, difference, total
from scripts.htp.timeline import DMA, HMX, HVX

START = "<!-- timelines: python -m scripts.bench.record_timelines -->"
END = "<!-- end of timelines -->"
# Kinds that are named: the most, and from so many microseconds of a layer on.
_MOST, _LEAST = 4, 0.5
_HEADER = ("rewrite", "us", "of these kinds", "HVX", "HMX", "DMA", "DDR, kB")


def table(report: Mapping[str, Any]) -> str:
    """Return what a layer takes more without each rewrite; in brackets those that are not used."""
    layers: dict[str, Kinds] = report["layers"]
    built = layers[AS_BUILT]
    rows = [_HEADER, ("---",) * len(_HEADER), _row(f"**{AS_BUILT}**", built, sign="")]
    for name, kinds in layers.items():
        if name == AS_BUILT:
            continue
        is_used = name in report["used"]
        more = difference(kinds, built) if is_used else difference(built, kinds)
        rows.append(_row(f"`{name}`" if is_used else f"(`{name}`)", more))
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    model = catalog.models()[report["model"]].description
    return f"{model}, {report['size']} pixels, {report['precision']}:\n\n{text}"


def _row(name: str, kinds: Kinds, sign: str = "+") -> tuple[str, ...]:
    sums = total(kinds)
    slowest = sorted(kinds, key=lambda kind: -abs(kinds[kind]["microseconds"]))[:_MOST]
    shown = [
        f"{kind} {kinds[kind]['microseconds']:{sign}.1f}"
        for kind in slowest
        if abs(kinds[kind]["microseconds"]) >= _LEAST
    ]
    busy = (f"{round(sums[unit]):{sign}d}" for unit in (HVX, HMX, DMA))
    bytes_moved = f"{round(sums['dram_bytes'] / 1000):{sign}d}"
    return name, f"{sums['microseconds']:{sign}.1f}", ", ".join(shown), *busy, bytes_moved


def with_tables(page: str, tables: Sequence[str]) -> str:
    """Return the page with these tables in the place of those that it has."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    text = "\n".join(tables)
    return f"{before}{START}\n\n{text}\n{END}{after}"


def main(files: Sequence[Path]) -> None:
    """Write the page."""
    tables = [table(json.loads(file.read_text())) for file in files]
    PAGE.write_text(with_tables(PAGE.read_text(), tables))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="TIMELINES.JSON")
    main(parser.parse_args().files)
