"""Measure what every rewrite of `lower` changes in the compiler's timeline, by kind of operator.

As `gains`, on twins of one and of three layers: what a layer takes is half of what two more layers
take. It goes on where it was stopped, and shares what it has compiled with `gains`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openqnn.progress import say
from scripts import artefacts, program
from scripts.bench import gains
from scripts.bench.gains import DEPTHS, Bench
from scripts.errors import CompileError
from scripts.htp.timeline import UNITS

AS_BUILT = "as it is built"
_DECIMALS = 2
# What a kind takes: microseconds of the inference, DMA's bytes, and how long units are busy.
Kinds = dict[str, dict[str, float]]


def of_layer(shallow: Mapping[str, Any], deep: Mapping[str, Any]) -> Kinds:
    """Return what each kind of operator takes of a layer, given what it takes of both twins."""
    more, none = DEPTHS[1] - DEPTHS[0], _figures({})
    kinds: Kinds = {}
    for kind in dict.fromkeys([*deep, *shallow]):
        before, after = (_figures(twin[kind]) if kind in twin else none for twin in (shallow, deep))
        kinds[kind] = {
            figure: round((after[figure] - before[figure]) / more, _DECIMALS) for figure in none
        }
    return kinds


def difference(without: Kinds, with_it: Kinds) -> Kinds:
    """Return what each kind of operator takes more of a layer without a rewrite."""
    none = _figures({})
    return {
        kind: {
            figure: round(
                without.get(kind, none)[figure] - with_it.get(kind, none)[figure], _DECIMALS
            )
            for figure in none
        }
        for kind in dict.fromkeys([*with_it, *without])
    }


def total(kinds: Kinds) -> dict[str, float]:
    """Return the sums over all kinds."""
    return {
        figure: round(sum(row[figure] for row in kinds.values()), _DECIMALS)
        for figure in _figures({})
    }


def _figures(share: Mapping[str, Any]) -> dict[str, float]:
    busy = share.get("busy_microseconds", {})
    return {
        "microseconds": share.get("microseconds", 0.0),
        "dram_bytes": share.get("dram_bytes", 0),
        **{unit: busy.get(unit, 0.0) for unit in UNITS},
    }


def measure(bench: Bench, only: Sequence[str]) -> Iterator[tuple[str, Kinds]]:
    """Yield what a layer takes as it is built, then with one rewrite less or one more.

    One with which the compiler cannot tell the time of a layer is left out.
    """
    usual = bench.usual
    yield AS_BUILT, of_layer(*bench.kinds(usual))
    for name in only:
        names = [other for other in usual if other != name] if name in usual else [*usual, name]
        try:
            yield name, of_layer(*bench.kinds(names))
        except CompileError as error:
            say(f"  {name}: not measured: {error.what}")


def main(arguments: argparse.Namespace) -> None:
    """Write `timelines.json`."""
    with gains.opened(arguments) as bench:
        report = {**gains.described(arguments), "used": bench.usual, "layers": {}}
        for name, kinds in measure(bench, arguments.only or gains.rewrite_names()):
            report["layers"][name] = kinds
            say(f"  {name}: {total(kinds)['microseconds']:.0f} us a layer")
            (arguments.out / artefacts.TIMELINES).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    program.run(main, gains.options(__doc__).parse_args())
