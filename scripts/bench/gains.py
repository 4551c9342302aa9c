"""Measure what every rewrite of `lower` gains in simulated time, and what 16 bits cost.

It measures shallow twins of the model: the time of a layer is half the time of two more layers.
Encodings come from one picture of noise; in int8 the softmax has the width that is faster.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from openqnn.network import onnx_network
from openqnn.progress import say
from openqnn.quantization import qdq
from scripts import artefacts, catalog, program
from scripts.catalog import Model, Precision, Target
from scripts.errors import CompileError, UsageError
from scripts.htp import estimate, provider
from scripts.lowering import rewrites
from scripts.lowering.lower import lower
from scripts.picture_size import PictureSize
from scripts.quantization import calibration, norms, widths

DEPTHS = (1, 3)
WEIGHTS = "random:0"
# The profile's wording, as QAIRT 2.51 has it.
MISSING = "Missing Ops"
NOISE_SEED = 0


@dataclass(frozen=True)
class Gain:
    """Simulated microseconds of a layer with a rewrite and without it, and those that it saves."""

    rewrite: str
    without: float
    saved: float


@dataclass(frozen=True)
class Time:
    """Simulated microseconds, and how many operators the compiler has no cost for."""

    microseconds: int
    missing: int

    @classmethod
    def read(cls, trace: Path) -> Time:
        """Return the figures of a compiler's profile."""
        with trace.open(newline="") as file:
            rows = list(csv.DictReader(file))
        missing = [int(row["Time"]) for row in rows if row["Event Identifier"].startswith(MISSING)]
        return cls(estimate.read_profile(trace).microseconds, sum(missing))


class Bench:
    """Shallow twins of a model, to be lowered and compiled in many ways; `folder` is scratch."""

    def __init__(
        self,
        model: Model,
        size: PictureSize,
        precision: Precision,
        target: Target,
        folder: Path,
    ) -> None:
        from scripts.checkpoint import export  # torch is in the image alone

        self._precision, self._folder = precision, folder
        self._times: dict[tuple[bytes, tuple[str, ...], str], Time] = {}
        is_fp16 = precision.weights == 16
        self._settings = provider.Settings(target.soc_model, target.vtcm_mb, is_fp16)
        self._twins = {depth: folder / f"twin{depth}.onnx" for depth in DEPTHS}
        for depth, path in self._twins.items():
            twin = replace(model, layers=depth)
            export.write(export.open_source(twin, WEIGHTS, size), model.name, path)
        shape = (1, 3, *size.axes)
        self._noise = folder / "noise.raw"
        np.random.default_rng(NOISE_SEED).standard_normal(shape, np.float32).tofile(self._noise)

    @property
    def usual(self) -> list[str]:
        """The rewrites that are used."""
        with self._lowered(self._twins[DEPTHS[0]]) as (_, applied):
            return [rewrite.name for rewrite in applied]

    @cached_property
    def wide(self) -> list[str]:
        """What has 16 bits in int8: attention scores and probabilities, where that is faster."""
        free = [name for name, cost in catalog.width_costs().items() if cost <= 0]
        if self._precision.activations != widths.NARROW:
            return []
        return min(([], free), key=lambda wide: self._layer(self.usual, wide))

    def layer(self, names: Collection[str]) -> float:
        """Return the simulated microseconds of a layer with some rewrites.

        Raises:
            CompileError: the compiler has no cost for some operator, which would look free.
        """
        return self._layer(names, self.wide)

    def _layer(
        self, names: Collection[str] | None, wide: Sequence[str], form: str = norms.RMS
    ) -> float:
        times = (self._time(path, names, wide, form) for path in self._twins.values())
        return self._apart(*times)

    @staticmethod
    def _apart(shallow: Time, deep: Time) -> float:
        if deep.missing != shallow.missing:
            raise CompileError("The compiler's estimate leaves out operators of a layer.")
        return (deep.microseconds - shallow.microseconds) / (DEPTHS[1] - DEPTHS[0])

    def norm_forms(self) -> dict[str, dict[str, float]]:
        """Return the microseconds of a layer in both forms of its norms, by what has 16 bits."""
        return {
            what: {form: self._layer(None, wide, form) for form in (norms.RMS, norms.LAYER)}
            for what, wide in self._choices().items()
        }

    def width_costs(self) -> dict[str, int]:
        """Return the cost of 16 bits in the deeper twin, by kind of activation."""
        twin = self._twins[DEPTHS[1]]
        narrow = self._time(twin, None, []).microseconds
        return {
            kind: self._time(twin, None, [kind]).microseconds - narrow for kind in self._kinds()
        }

    def _kinds(self) -> list[str]:
        with self._lowered(self._twins[DEPTHS[1]]) as (network, _):
            return list(widths.kinds(onnx_network.Network.load(network)))

    def _choices(self) -> dict[str, list[str]]:
        kinds = self._kinds()
        softmax = [kind for kind in kinds if widths.of_softmax(kind)]
        stream = [kind for kind in kinds if widths.of_stream(kind)]
        return {
            "nothing": [],
            "softmax": softmax,
            "softmax and stream": softmax + stream,
            "everything": kinds,
        }

    def _time(
        self,
        twin: Path,
        names: Collection[str] | None,
        wide: Sequence[str],
        form: str = norms.RMS,
    ) -> Time:
        """Return the time of a twin with some rewrites, None for those that are used."""
        with self._lowered(twin, names) as (network, _):
            # Rewrites that do not fire leave the same network: it is compiled once.
            key = (network.read_bytes(), tuple(wide), form)
            if key not in self._times:
                self._times[key] = self._compiled(network, wide, form)
            return self._times[key]

    @contextmanager
    def _lowered(
        self, twin: Path, names: Collection[str] | None = None
    ) -> Iterator[tuple[Path, list[rewrites.Applied]]]:
        """Yield a twin with some rewrites, None for those that are used, and what they did."""
        others = [
            rewrite.name for rewrite in rewrites.REWRITES if rewrite.name not in (names or ())
        ]
        without = [] if names is None else others
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            network = Path(name) / "lowered.onnx"
            yield (
                network,
                lower(twin, network, self._precision.name, without, added=[*(names or ())]),
            )

    def _compiled(self, network: Path, wide: Sequence[str], form: str) -> Time:
        folder = network.parent
        if self._precision.weights != 16:
            network = self._quantized(network, folder, wide, form)
        scratch = folder / "scratch"
        scratch.mkdir()
        provider.compile_context(network, folder / "context.bin", scratch, self._settings)
        return Time.read(scratch / provider.TRACE)

    def _quantized(self, path: Path, folder: Path, wide: Sequence[str], form: str) -> Path:
        """Write integers of a network in which some kinds of activations have 16 bits."""
        scaled = folder / "scaled.onnx"
        bits = self._precision.activations
        encodings = calibration.encoded(
            path, scaled, [self._noise], bits, method="min-max", equal=False
        )
        network = onnx_network.Network.load(scaled)
        if form == norms.LAYER:
            network, encodings = norms.as_layer_norms(network, encodings)
            onnx.save(network.model, scaled)
        kinds = widths.kinds(network)
        raised = [tensor for kind in wide for tensor in kinds.get(kind, [])]
        widths.raised(network, encodings, raised).save(folder / "encodings.json")
        made_file = folder / "quantized.onnx"
        qdq.insert(scaled, folder / "encodings.json", made_file)
        return made_file


def measure(bench: Bench) -> tuple[float, list[Gain]]:
    """Return the time of a layer as it is built, and what each rewrite saves or would save."""
    usual = bench.usual
    full = bench.layer(usual)
    say(f"  as it is built: {full:.0f} us a layer")
    gains = []
    for rewrite in rewrites.REWRITES:
        others = [name for name in usual if name != rewrite.name]
        used = rewrite.name in usual
        other = bench.layer(others if used else [*usual, rewrite.name])
        without, saved = (other, other - full) if used else (full, full - other)
        gains.append(Gain(rewrite.name, without, saved))
        say(f"  {rewrite.name}{'' if used else ' (not used)'}: saves {saved:.0f} us")
    return full, gains


def main(arguments: argparse.Namespace) -> None:
    """Write `gains.json`."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    if not model.layers:
        raise UsageError(
            f"The depth of {model.name} is fixed: it has no shallow twins.",
            remedy="measure vits16 or a larger model",
        )
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        size = arguments.size or model.picture_size
        bench = Bench(model, size, precision, target, Path(folder))
        none = bench.layer([])
        say(f"  no rewrite: {none:.0f} us a layer")
        full, gains = measure(bench)
        narrow = precision.activations == widths.NARROW and arguments.widths
        costs = bench.width_costs() if narrow else {}
        forms = bench.norm_forms() if narrow else {}
    report = {
        "model": model.name,
        "size": str(size),
        "precision": precision.name,
        "microseconds_without_any": none,
        "microseconds_with_all": full,
        "rewrites": [vars(gain) for gain in gains],
        "microseconds_of_16_bits": costs,
        "microseconds_by_norm": forms,
    }
    (arguments.out / artefacts.GAINS).write_text(json.dumps(report, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--size", type=PictureSize.parse, help="default: what the model says")
    parser.add_argument("--target", default="iq9075", help="board in the catalog")
    parser.add_argument(
        "--no-widths", dest="widths", action="store_false", help="not the cost of 16 bits"
    )
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
