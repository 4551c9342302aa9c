"""Record what `scripts.bench.gains` measured: in the catalog, for `lower`, and in docs/lowering.md.

python -m scripts.bench.record_gains GAINS.JSON...
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts import catalog
from scripts.catalog import Measured
from scripts.lowering import rewrites
from scripts.source import ROOT

DATA = Path(catalog.__file__).parent / "gains.toml"
PAGE = ROOT / "docs" / "lowering.md"
START, END = "<!-- gains: python -m scripts.bench.record_gains -->", "<!-- end of gains -->"
_HEAD = """\
# Simulated microseconds of a layer, with the rewrites that are used, with none (`plain`) and as the
# plain ONNX Runtime recipe has it, and what each rewrite saves; below 0 it costs. Measured on twins
# of one and of three layers by `python -m scripts.bench.gains --model M --size S --precision P
# --out DIR`, recorded by `python -m scripts.bench.record_gains DIR/gains.json`. `lower` leaves out
# what costs 2 % of a layer and 5 us in the network that is most alike, and takes what saves as
# much.
"""
# Figures are of one layer where it takes as long, to a rounding of the compiler's whole numbers.
SAME = 0.002
_PRECISIONS = ("int8", "w8a16", "fp16")
# What is to be measured of a model.
_SIZES = ("224", "384", "512", "768")


def read(file: Path) -> Measured:
    """Return what a `gains.json` says."""
    report = json.loads(file.read_text())
    return Measured(
        model=report["model"],
        size=report["size"],
        precision=report["precision"],
        layer=report["microseconds_with_all"],
        plain=report.get("microseconds_without_any"),
        recipe=report.get("microseconds_of_recipe"),
        saved={gain["rewrite"]: gain["saved"] for gain in report["rewrites"]},
    )


def merged(known: Sequence[Measured], new: Sequence[Measured]) -> list[Measured]:
    """Return all measurements in the order of the tables, new figures in place of old ones."""
    rows: dict[tuple[str, str, str], Measured] = {}
    for row in (*known, *new):
        key = row.model, row.size, row.precision
        rows[key] = _joined(rows[key], row) if key in rows else row
    models = list(catalog.models())

    def place(row: Measured) -> tuple[int, int, int]:
        return models.index(row.model), row.shape[0], _PRECISIONS.index(row.precision)

    return sorted(rows.values(), key=place)


def _joined(old: Measured, new: Measured) -> Measured:
    """Return the new figures, with old ones of the same layer where there are no new ones."""
    if not math.isclose(old.layer, new.layer, rel_tol=SAME):
        return new
    saved = {**old.saved, **new.saved}
    plain, recipe = new.plain or old.plain, new.recipe or old.recipe
    return replace(new, saved=saved, plain=plain, recipe=recipe)


def data(rows: Sequence[Measured]) -> str:
    """Return the file of the catalog."""
    return _HEAD + "".join(map(_entry, rows))


def _entry(row: Measured) -> str:
    names = [f"{key} = {json.dumps(getattr(row, key))}" for key in ("model", "size", "precision")]
    values = {"layer": row.layer, "plain": row.plain, "recipe": row.recipe}
    numbers = [f"{key} = {value}" for key, value in values.items() if value is not None]
    saved = [f'"{name}" = {value}' for name, value in row.saved.items()]
    head = "\n".join(["", "[[measured]]", *names, *numbers, "", "[measured.saved]"])
    return "\n".join([head, *saved, ""])


def tables(rows: Sequence[Measured]) -> str:
    """Return the tables of docs/lowering.md, one a model."""
    models = dict.fromkeys(row.model for row in rows)
    return "\n".join(_table(name, [row for row in rows if row.model == name]) for name in models)


def _table(model: str, rows: Sequence[Measured]) -> str:
    lines = [
        ["rewrite", *(f"{row.precision} {row.size}" for row in rows)],
        ["---"] * (len(rows) + 1),
        *([f"`{name}`", *(_cell(row, name) for row in rows)] for name in _names()),
        ["none of them, us a layer", *(_figure(row.plain) for row in rows)],
        ["**those used, us a layer**", *(f"**{row.layer:.0f}**" for row in rows)],
        ["times as fast as with none", *(_times(row.plain, row.layer) for row in rows)],
        ["plain recipe, us a layer", *(_figure(row.recipe) for row in rows)],
        ["times as fast as the recipe", *(_times(row.recipe, row.layer) for row in rows)],
    ]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{catalog.models()[model].description}:\n\n{text}{_absent(rows)}"


def _absent(rows: Sequence[Measured]) -> str:
    """Return a sentence on the columns that a table lacks."""
    known = {(row.precision, row.size) for row in rows}
    pairs = [(precision, size) for size in _SIZES for precision in _PRECISIONS]
    names = [" ".join(pair) for pair in pairs if pair not in known]
    return f"\nNot measured: {', '.join(names)}.\n" if names else ""


def _figure(microseconds: float | None) -> str:
    return "" if microseconds is None else f"{microseconds:.0f}"


def _times(slow: float | None, fast: float) -> str:
    return "" if slow is None else f"{slow / fast:.2f}"


def _names() -> list[str]:
    return [rewrite.name for rewrite in rewrites.REWRITES]


def _cell(row: Measured, name: str) -> str:
    """Return what a rewrite saves: in brackets where it is not used, nothing if not measured."""
    if name not in row.saved:
        return ""
    used = {rewrite.name for rewrite in rewrites.choose(row.precision, shape=row.shape)}
    saving = f"{row.saved[name]:+.0f}" if row.saved[name] else "0"
    return saving if name in used else f"({saving})"


def with_tables(page: str, rows: Sequence[Measured]) -> str:
    """Return the page with these tables in the place of those that it has."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{tables(rows)}\n{END}{after}"


def main(files: Sequence[Path]) -> None:
    """Write the catalog's file, then the page that shows it."""
    DATA.write_text(data(merged(catalog.gains(), [read(file) for file in files])))
    catalog.forget()
    PAGE.write_text(with_tables(PAGE.read_text(), catalog.gains()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="GAINS.JSON")
    main(parser.parse_args().files)
