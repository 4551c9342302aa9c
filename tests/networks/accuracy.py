"""The table of accuracy in docs/accuracy.md: every stand-in in every precision, AIMET's beside it.

    export PYTHONPATH=toolchains/openqnn/lib/python     # on the host
    python -m tests.networks.accuracy measure --out DIR [--network G] [--precision int8]
    python -m tests.networks.accuracy aimet --out DIR [--network G] [--how w8a8]
    python -m tests.networks.accuracy record --out DIR

`measure` runs in the image, `aimet` on the host, with AIMET in an environment of its own in DIR, on
networks and pictures that `measure` left there. Both keep every cell in DIR and leave out those
that it has, so they can be stopped and started again. `record` takes what DIR has into
`accuracy.json` beside this file, what grew in `trained` into `trained.json`, and writes the page's
tables from these.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts import artefacts, metrics
from scripts.source import ROOT
from tests import aimet
from tests.networks import standins
from tests.networks.standins import STANDINS, stored

Row = dict[str, Any]

PAGE, DATA = ROOT / "docs" / "accuracy.md", Path(__file__).with_suffix(".json")
START = "<!-- accuracy: python -m tests.networks.accuracy -->"
END = "<!-- end of accuracy -->"
GROWTH = Path(__file__).with_name("trained.json")
GROWTH_START = "<!-- growth: python -m tests.networks.accuracy -->"
GROWTH_END = "<!-- end of growth -->"
FIGURES = "figures.json"
PRECISIONS = ("int8", "mixed", "w4a8", "w8a16", "w4a16", "fp16")
JUDGE = Path(__file__).with_name("aimet_judge.py")
HOWS = ("w8a8", "w8a8, lite_mp", "w8a16", "w8a16, SeqMSE")
AIMET = tuple(f"AIMET {how}" for how in HOWS)
COLUMNS = (*PRECISIONS, *AIMET)
SPREAD, WHEN = ("max / median", "kurtosis"), ("before", "after")
HEAD = ("network", "precision", "CLS mean", "p1", "patches", "simulated ms", "gate")


def measure(out: Path, networks: Sequence[str], precisions: Sequence[str]) -> None:
    """Measure the cells that are not there yet; of each, only its figures are kept."""
    from tests.networks import measure as cell  # torch is in the image only

    for network in networks:
        for precision in precisions:
            row = cell.measured(out, network, precision)
            print(json.dumps(row), flush=True)
            _tidy(out / f"{network}-{precision}")


def _tidy(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != FIGURES:
            path.unlink()


def with_aimet(out: Path, networks: Sequence[str], hows: Sequence[str]) -> None:
    """Have AIMET quantise networks, unless that was done."""
    for network in networks:
        for how in hows:
            folder = out / f"{network}-AIMET {how}"
            if not (folder / FIGURES).exists():
                folder.mkdir(exist_ok=True)
                row = _by_aimet(out, network, how, folder)
                (folder / FIGURES).write_text(json.dumps(row, indent=1) + "\n")
                print(json.dumps(row), flush=True)


def _by_aimet(out: Path, network: str, how: str, folder: Path) -> Row:
    shared, model = out / STANDINS[network].folder, standins.model(network)
    sets = (shared / artefacts.image_set(name) for name in ("calibration", "heldout"))
    features = folder / "features.npz"
    command = [aimet.python(out), JUDGE, stored(shared, network), how, *sets, features]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"AIMET, {how}, on {network}: {done.stderr[-2000:]}")
    with np.load(features) as values:
        pair = values["float"], values["simulated"]
    features.unlink()
    figures = metrics.figures(*pair, (model.image_size // model.patch_size) ** 2)
    row = {"network": network, "precision": f"AIMET {how}", "pictures": len(pair[0])}
    return {**row, "figures": {name: metrics.rounded(value) for name, value in figures.items()}}


def record(folder: Path) -> None:
    """Take the rows of a folder and its report of training, and write the page's tables."""
    rows = merged(_rows(), (json.loads(file.read_text()) for file in folder.glob(f"*/{FIGURES}")))
    DATA.write_text(json.dumps(rows, indent=1) + "\n")
    for report in folder.glob(f"*/{standins.LEARNED}/{standins.TRAINING}"):
        shutil.copyfile(report, GROWTH)
    PAGE.write_text(with_growth(with_table(PAGE.read_text(), rows), json.loads(GROWTH.read_text())))


def _rows() -> list[Row]:
    rows: list[Row] = json.loads(DATA.read_text()) if DATA.exists() else []
    return rows


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Return rows in the table's order, new ones in the place of old ones."""
    rows = {(row["network"], row["precision"]): row for row in (*old, *new)}
    order = [(network, precision) for network in STANDINS for precision in COLUMNS]
    return [rows[key] for key in order if key in rows]


def table(rows: Sequence[Row]) -> str:
    """Return the table, a row a cell, and which cells it lacks."""
    lines = [HEAD, ["---"] * len(HEAD), *map(_line, rows)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text + "".join(_absent(rows))


def _line(row: Row) -> list[str]:
    figures, milliseconds = row["figures"], row.get("milliseconds")
    keys = "cls_mean", "cls_p1", "patch_mean"
    time = "-" if milliseconds is None else f"{milliseconds:.3f}"
    names = [f"**{row['network']}**" if row["precision"] == "int8" else row["network"]]
    return [*names, row["precision"], *(f"{figures[key]:.5f}" for key in keys), time, gate(row)]


def gate(row: Row) -> str:
    """Say whether a row is within its precision's gate, or by how much it misses it."""
    missed = [
        f"{name} {row['figures'][name]:.4f} < {bound}"
        for name, bound in row.get("gate", {}).items()
        if not row["figures"][name] >= bound
    ]
    return ", ".join(missed) or ("passes" if "gate" in row else "-")


def _absent(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence on the cells that were not measured."""
    known = {(row["network"], row["precision"]) for row in rows}
    absent = {
        network: [name for name in COLUMNS if (network, name) not in known] for network in STANDINS
    }
    cells = [
        network if names == [*COLUMNS] else f"{network} in {', '.join(names)}"
        for network, names in absent.items()
        if names
    ]
    if cells:
        yield f"\nNot measured: {'; '.join(cells)}.\n"


def growth(report: Row) -> str:
    """Return the table of how far magnitudes spread before and after training."""
    head = "magnitudes", *(f"{what}, {when}" for what in SPREAD for when in WHEN)
    lines = [
        (kind, *(f"{report[when][kind][what]:.1f}" for what in SPREAD for when in WHEN))
        for kind in report["after"]
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *lines))


def with_table(page: str, rows: Sequence[Row]) -> str:
    """Return the page with this table in the place of the one that it has."""
    return _replaced(page, START, END, table(rows))


def with_growth(page: str, report: Row) -> str:
    """Return the page with the table of what grew in the place of the one that it has."""
    return _replaced(page, GROWTH_START, GROWTH_END, growth(report))


def _replaced(page: str, start: str, end: str, text: str) -> str:
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n\n{text}\n{end}{after}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    to_measure = commands.add_parser("measure", help="build and judge what is not there yet")
    to_measure.add_argument("--precision", choices=PRECISIONS, action="append", help="default: all")
    beside = commands.add_parser("aimet", help="have AIMET quantise what is not there yet")
    beside.add_argument("--how", choices=HOWS, action="append", help="default: all")
    for parser_of in (to_measure, beside):
        parser_of.add_argument("--network", choices=STANDINS, action="append", help="default: all")
    commands.add_parser("record", help="write the page's table")
    for parser_of in commands.choices.values():
        parser_of.add_argument("--out", type=Path, required=True, help="folder of the cells")
    return parser.parse_args()


def _main(arguments: argparse.Namespace) -> None:
    if arguments.command == "record":
        record(arguments.out)
        return
    networks = arguments.network or [*STANDINS]
    if arguments.command == "aimet":
        with_aimet(arguments.out, networks, arguments.how or HOWS)
    else:
        measure(arguments.out, networks, arguments.precision or PRECISIONS)


if __name__ == "__main__":
    _main(_arguments())
