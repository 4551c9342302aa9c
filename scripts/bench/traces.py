"""Why a rewrite gains: the compiler's timeline of a shallow twin with it and without, by kind.

Of each kind of operator the microseconds of one layer, of each unit how long it is busy, of memory
the bytes: what is more without a rewrite is what the rewrite saves.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from openqnn.progress import say
from scripts import catalog, program
from scripts.bench.gains import DEPTHS, TIMES, Bench, Times
from scripts.catalog import Target
from scripts.htp import attribution, contexts, conversion, libraries, sdk
from scripts.htp.attribution import Attribution
from scripts.htp.timeline import Timeline
from scripts.picture_size import PictureSize

TRACES = "traces.json"
_NAME = "twin"
TOTAL, BUSY, MEMORY = "total", "busy:", "bytes:"
Costs = dict[str, float]


class Tracer(Bench):
    """Twins compiled through the same commands as a build, with their timelines."""

    def __init__(self, target: Target, *rest: Any) -> None:
        """Take what a bench takes, the target first."""
        model, size, precision, folder, times = rest
        super().__init__(model, size, precision, target, folder, times)
        self._target = target

    def traced(self, names: Collection[str]) -> Costs:
        """Return what a layer costs with some rewrites: microseconds and bytes, by name."""
        shallow, deep = (self._traced(twin, names) for twin in self._twins.values())
        layers = DEPTHS[1] - DEPTHS[0]
        return {name: cost / layers for name, cost in _more(deep, shallow).items()}

    def _traced(self, twin: Path, names: Collection[str]) -> Costs:
        with self._lowered(twin, names) as (network, _):
            out = network.parent.absolute()
            encodings = None
            if self._precision.weights != 16:
                self._quantized(network, out, self.wide, self.form)
                network, encodings = out / "scaled.onnx", out / "encodings.json"
            cpp, library = out / f"{_NAME}.cpp", out / sdk.HOST / f"lib{_NAME}.so"
            conversion.convert(network, encodings, cpp, self._target)
            libraries.build(cpp, cpp.with_suffix(".bin"), library, [sdk.HOST])
            context = out / "context" / f"{_NAME}.serialized.bin"
            contexts.compile_context(library, self._precision, self._target, context, trace=True)
            return _costs(Attribution.of(Timeline.load(context)))


def _costs(divided: Attribution) -> Costs:
    """Return the parts of a timeline's length by kind of operator, and sums by unit and memory."""
    costs: Costs = defaultdict(float)
    for kind, share in divided.by(attribution.kind).items():
        costs[kind] += share.microseconds
        costs[f"{MEMORY} DRAM"] += share.dram_bytes
        costs[f"{MEMORY} VTCM"] += share.vtcm_bytes
        for unit, busy in share.busy.items():
            costs[f"{BUSY} {unit}"] += busy
    costs[TOTAL] = sum(share.microseconds for share in divided.by(attribution.layer).values())
    return costs


def _more(costs: Costs, others: Costs) -> Costs:
    return {name: costs.get(name, 0) - others.get(name, 0) for name in {**costs, **others}}


def _rounded(costs: Costs) -> dict[str, float]:
    """Return costs of half a microsecond and more, the greatest changes first."""
    rows = sorted(costs.items(), key=lambda row: -abs(row[1]))
    return {name: round(cost, 1) for name, cost in rows if abs(cost) >= 0.5}


def main(arguments: argparse.Namespace) -> None:
    """Write `traces.json`: a layer's costs, and what each rewrite that is used saves of them."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    size = arguments.size or model.picture_size
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        times = Times(arguments.out / TIMES)
        tracer = Tracer(target, model, size, precision, Path(folder), times)
        usual = tracer.usual
        whole = tracer.traced(usual)
        report = {"layer": _rounded(whole)}
        for name in arguments.only or usual:
            others = tracer.traced([other for other in usual if other != name])
            saved = _more(others, whole)
            report[name] = _rounded(saved)
            say(f"  {name}: saves {saved[TOTAL]:.1f} us")
            (arguments.out / TRACES).write_text(json.dumps(report, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="vits16 or a larger one")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--size", type=PictureSize.parse, help="default: what the model says")
    parser.add_argument("--target", default="iq9075", help="board in the catalog")
    parser.add_argument("--only", action="append", help="this rewrite alone; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
