"""Measure what every rewrite of `lower` gains in simulated time, and what 16 bits cost.

It measures shallow twins of the model: the time of a layer is half the time of two more layers.
Encodings come from one picture of noise; in int8 the softmax has the width and the norms the form
that is faster, as `quantize` chooses them. Beside it stands a layer of the plain ONNX Runtime
recipe (`peer`).

What was compiled is kept in `times.json`: started again with the same `--out`, it goes on where it
was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from openqnn.network import onnx_network
from openqnn.progress import say
from openqnn.quantization import qdq
from scripts import artefacts, catalog, program
from scripts.bench import peer, recipe
from scripts.bench.times import TIMES, Time, Times
from scripts.catalog import Model, Precision, Target
from scripts.errors import CompileError, UsageError
from scripts.htp import attribution, provider
from scripts.htp.attribution import Attribution, Share
from scripts.htp.timeline import Timeline
from scripts.lowering import rewrites
from scripts.lowering.lower import lower
from scripts.picture_size import PictureSize
from scripts.quantization import calibration, norms, widths

DEPTHS = (1, 3)
WEIGHTS = "random:0"
NOISE_SEED = 0
FORMS = (norms.RMS, norms.LAYER)
# What is measured besides the rewrites: no rewrite, the recipe, what 16 bits cost.
PLAIN, RECIPE, WIDTHS = "plain", "recipe", "widths"
# The time in which no unit is busy, beside the kinds of operators.
IDLE = "idle"


@dataclass(frozen=True)
class Gain:
    """Simulated microseconds of a layer with a rewrite and without it, and those that it saves."""

    rewrite: str
    without: float
    saved: float


class Bench:
    """Shallow twins of a model, to be lowered and compiled in many ways; `folder` is scratch."""

    def __init__(
        self,
        model: Model,
        size: PictureSize,
        precision: Precision,
        target: Target,
        folder: Path,
        times: Times,
    ) -> None:
        from scripts.checkpoint import export  # torch is in the image alone

        self._precision, self._folder, self._times = precision, folder, times
        self._recipe = ["--model", model.name, "--size", str(size), "--target", target.name]
        self._recipe += ["--precision", precision.name]
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

    @property
    def choices(self) -> str:
        """What is said of the widths and the norms of int8."""
        bits = 16 if self.wide else 8
        return f", softmax of {bits} bits, {self.form}" if self.is_narrow else ""

    @property
    def is_narrow(self) -> bool:
        """Whether activations have 8 bits, so that some of them may have 16."""
        return self._precision.activations == widths.NARROW

    @cached_property
    def wide(self) -> list[str]:
        """What has 16 bits in int8: attention scores and probabilities, where that is faster."""
        free = [name for name, cost in catalog.width_costs().items() if cost <= 0]
        if not self.is_narrow:
            return []
        return min(([], free), key=lambda wide: self._layer(self.usual, wide))

    @cached_property
    def form(self) -> str:
        """The form of norms in int8 that is faster, where there are both."""
        if not self.is_narrow:
            return norms.RMS
        return min(FORMS, key=lambda form: self._layer(self.usual, self.wide, form))

    def layer(self, names: Collection[str]) -> float:
        """Return the simulated microseconds of a layer with some rewrites.

        Raises:
            CompileError: the compiler has no cost for some operator, which would look free.
        """
        return self._layer(names, self.wide, self.form)

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
            what: {form: self._layer(None, wide, form) for form in FORMS}
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

        def compiled(network: Path) -> dict[str, Any]:
            scratch = self._compiled(network, wide, form, self._settings)
            return vars(Time.read(scratch / provider.TRACE))

        how = [self._precision.name, form, *wide]
        return Time(**self._figures(twin, names, how, compiled))

    def _figures(
        self,
        twin: Path,
        names: Collection[str] | None,
        how: Sequence[str],
        measured: Callable[[Path], dict[str, Any]],
    ) -> dict[str, Any]:
        with self._lowered(twin, names) as (network, _):
            # Rewrites that do not fire leave the same network: it is compiled once.
            key = [network.read_bytes(), *map(str.encode, how)]
            return self._times.get(key, lambda: measured(network))

    def kinds(self, names: Collection[str]) -> list[dict[str, dict[str, Any]]]:
        """Return what each kind of operator takes of the twins' timelines, with some rewrites.

        Raises:
            CompileError: the compiler has no cost for some operator, which would look free.
        """
        traces = [self._traced(twin, names) for twin in self._twins.values()]
        self._apart(*(Time(0, trace["missing"]) for trace in traces))
        return [trace["kinds"] for trace in traces]

    def _traced(self, twin: Path, names: Collection[str]) -> dict[str, Any]:
        wide, form = self.wide, self.form

        def traced(network: Path) -> dict[str, Any]:
            settings = replace(self._settings, trace=True)
            scratch = self._compiled(network, wide, form, settings)
            missing = Time.read(scratch / provider.TRACE).missing
            return {"missing": missing, "kinds": _divided(provider.timeline_of(scratch))}

        how = ["timeline", self._precision.name, form, *wide]
        return self._figures(twin, names, how, traced)

    def recipe(self) -> float:
        """Return the simulated microseconds of a layer of the plain recipe.

        Raises:
            CompileError: a step fails, or the compiler has no cost for some operator.
        """
        return self._apart(*map(self._of_recipe, DEPTHS))

    def _of_recipe(self, depth: int) -> Time:
        options = [*self._recipe, "--layers", str(depth)]
        figures = self._times.get(
            [b"recipe", *map(str.encode, options)], lambda: vars(self._recipe_compiled(options))
        )
        return Time(**figures)

    def _recipe_compiled(self, options: list[str]) -> Time:
        """Follow the recipe, each step in a process of its own, as a build does."""
        with tempfile.TemporaryDirectory(dir=self._folder) as out:
            folders = ["--out", out, "--work", out, "--calibration", str(self._noise.parent)]
            for step in recipe.steps(self._precision):
                _run_recipe(["--step", step, *options, *folders])
            provider.require_one_node(Path(out) / peer.CONTEXT)
            return Time.read(Path(out) / peer.PROFILE)

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

    def _compiled(
        self, network: Path, wide: Sequence[str], form: str, settings: provider.Settings
    ) -> Path:
        """Compile a network; return the folder with what the compiler says of it."""
        folder = network.parent
        if self._precision.weights != 16:
            network = self._quantized(network, folder, wide, form)
        scratch = folder / "scratch"
        scratch.mkdir()
        provider.compile_context(network, folder / "context.bin", scratch, settings)
        return scratch

    def _quantized(self, path: Path, folder: Path, wide: Sequence[str], form: str) -> Path:
        """Write integers of a network in which some kinds of activations have 16 bits."""
        scaled = folder / "scaled.onnx"
        source = calibration.Source(path, [self._noise], (), "min-max", equal=False)
        encodings = source.encoded(self._precision, scaled)
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


def _divided(timeline: Timeline) -> dict[str, Any]:
    divided = Attribution.of(timeline)
    kinds = {name: share.as_json() for name, share in divided.by(attribution.kind).items()}
    return {**kinds, IDLE: Share(divided.idle).as_json()}


def _of_recipe(bench: Bench) -> Iterator[dict[str, Any]]:
    try:
        plain = bench.recipe()
    except CompileError as error:
        say(f"  plain recipe: not measured: {error.what}")
        return
    say(f"  plain recipe: {plain:.0f} us a layer")
    yield {"microseconds_of_recipe": plain}


def _run_recipe(arguments: list[str]) -> None:
    command = [sys.executable, "-m", peer.__name__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"The recipe ended with {done.returncode}.\n{done.stderr[-2000:]}")


def measure(bench: Bench, only: Collection[str]) -> Iterator[Gain]:
    """Yield what each rewrite saves or would save of a layer, those that are used first.

    One with which the compiler cannot tell the time of a layer is left out.
    """
    usual = bench.usual
    full = bench.layer(usual)
    for name in sorted(only, key=lambda name: name not in usual):
        used = name in usual
        names = [other for other in usual if other != name] if used else [*usual, name]
        try:
            other = bench.layer(names)
        except CompileError as error:
            say(f"  {name}{'' if used else ' (not used)'}: not measured: {error.what}")
            continue
        without, saved = (other, other - full) if used else (full, full - other)
        say(f"  {name}{'' if used else ' (not used)'}: saves {saved:.0f} us")
        yield Gain(name, without, saved)


def main(arguments: argparse.Namespace) -> None:
    """Write `gains.json`."""
    with opened(arguments) as bench:
        report = described(arguments)
        for figures in _measured(
            bench, arguments.only or [*rewrite_names(), PLAIN, RECIPE, WIDTHS]
        ):
            report |= figures
            (arguments.out / artefacts.GAINS).write_text(json.dumps(report, indent=1) + "\n")


def described(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the network that a report is of."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    size = str(arguments.size or model.picture_size)
    return {"model": model.name, "size": size, "precision": arguments.precision}


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Bench]:
    """Yield the twins of a network, in a folder that is deleted afterwards.

    Raises:
        UsageError: the model has no twins, or the target no estimate.
    """
    model = catalog.pick(catalog.models(), arguments.model, "model")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    if not model.layers:
        raise UsageError(
            f"The depth of {model.name} is fixed: it has no shallow twins.",
            remedy="measure vits16 or a larger model",
        )
    if target.timed_by:
        raise UsageError(
            f"There is no estimate for {target.name}: Qualcomm's compiler does not simulate it.",
            remedy=f"measure on {target.timed_by}",
        )
    size = arguments.size or model.picture_size
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        times = Times(arguments.out / TIMES)
        yield Bench(model, size, precision, target, Path(folder), times)


def rewrite_names() -> list[str]:
    """Return the names of all rewrites, in their order."""
    return [rewrite.name for rewrite in rewrites.REWRITES]


def _measured(bench: Bench, only: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what was measured, piece by piece."""
    layer = bench.layer(bench.usual)
    say(f"  as it is built: {layer:.0f} us a layer{bench.choices}")
    yield {"microseconds_with_all": layer, "microseconds_without_any": None, "rewrites": []}
    if RECIPE in only:
        yield from _of_recipe(bench)
    gains: list[dict[str, Any]] = []
    for gain in measure(bench, [name for name in rewrite_names() if name in only]):
        gains.append(vars(gain))
        yield {"rewrites": gains}
    if PLAIN in only:
        none = bench.layer([])
        say(f"  no rewrite: {none:.0f} us a layer")
        yield {"microseconds_without_any": none}
    if WIDTHS in only and bench.is_narrow:
        yield {"microseconds_of_16_bits": bench.width_costs()}
        yield {"microseconds_by_norm": bench.norm_forms()}


def options(description: str | None, *more: str) -> argparse.ArgumentParser:
    """Return a parser for what is measured of a network: rewrites, and `more`."""
    parser = program.parser(description)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--size", type=PictureSize.parse, help="default: what the model says")
    parser.add_argument("--target", default="iq9075", help="board in the catalog")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*rewrite_names(), *more],
        help="measure this alone; may be repeated",
    )
    return parser


def _arguments() -> argparse.Namespace:
    return options(__doc__, PLAIN, RECIPE, WIDTHS).parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
