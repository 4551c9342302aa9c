"""The rewrites of `lower`, each exact in fp32 and there for a measured gain (docs/lowering.md)."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial, update_wrapper

from scripts import catalog
from scripts.errors import UsageError
from scripts.lowering.fired import Fired
from scripts.lowering.folding import fold_attention_scale, fold_layer_scale
from scripts.lowering.graph import Graph
from scripts.lowering.heads import split_heads
from scripts.lowering.linears import (
    group_heads,
    halve_heads,
    narrow_linears,
    split_tokens,
    sum_inputs,
)
from scripts.lowering.norms import rms_norms
from scripts.lowering.pixels import take_bytes
from scripts.lowering.rotary import joined_rotary, signed_rotary, summed_rotary, whole_rotary
from scripts.lowering.tokens import flat_linears, pad_tokens
from scripts.pictures.preprocess import Preprocessing

EVERY = ("fp16", "int8", "w8a16")
# What is measured counts from this share of a layer and these microseconds on. The compiler's
# schedule is that uneven: of ViT-S at 512 pixels in w8a16, fold-attention-scale costs 1.9 % of a
# layer beside halve-heads, and saves 0.9 % without it.
NOTEWORTHY = 0.02
LEAST = 5.0
# Tokens and width of a network.
Shape = tuple[int, int]


@dataclass(frozen=True)
class Rewrite:
    """A rewrite, the precisions that it is there for, and the rewrites it builds on."""

    apply: Callable[[Graph], Fired]
    precisions: tuple[str, ...] = EVERY
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return self.apply.__name__.replace("_", "-")

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return self._lines()[0]

    @property
    def transformation(self) -> str:
        """The pattern and what takes its place, as its docstring shows them."""
        return " ".join(line.strip() for line in self._lines() if line.startswith("    "))

    def _lines(self) -> list[str]:
        text = (inspect.getdoc(self.apply) or "").partition("\nRaises:")[0]
        return text.splitlines()


@dataclass(frozen=True)
class Applied:
    """What a rewrite did to a network: how often it fired, and its number of nodes."""

    name: str
    summary: str
    fired: int
    reasons: Mapping[str, int]
    nodes_before: int
    nodes_after: int


# In the order in which they are applied.
REWRITES = (
    Rewrite(fold_layer_scale),
    Rewrite(fold_attention_scale),
    Rewrite(whole_rotary),
    Rewrite(signed_rotary, ("fp16",)),
    Rewrite(summed_rotary, ("int8", "w8a16"), ("whole-rotary",)),
    Rewrite(flat_linears),
    Rewrite(pad_tokens, needs=("whole-rotary", "flat-linears")),
    Rewrite(joined_rotary, ("fp16",), ("whole-rotary", "signed-rotary", "flat-linears")),
    Rewrite(split_heads),
    # In float16 the compiler has no cost for an RMSNorm, and in 16 bits a LayerNorm is faster.
    Rewrite(rms_norms, ("int8",), ("fold-layer-scale", "flat-linears")),
    Rewrite(group_heads, ("fp16",), ("flat-linears", "split-heads")),
    Rewrite(halve_heads, ("w8a16",), ("flat-linears", "split-heads")),
    Rewrite(sum_inputs, ("fp16",), ("flat-linears",)),
    Rewrite(narrow_linears, ("fp16",), ("flat-linears",)),
    Rewrite(split_tokens, ("fp16",), ("flat-linears", "sum-inputs")),
)


def apply(graph: Graph, rewrites: Collection[Rewrite]) -> list[Applied]:
    """Rewrite a network in place; return what each rewrite did."""
    return [_apply(graph, rewrite) for rewrite in rewrites]


def of_input(how: Preprocessing) -> Rewrite:
    """Return the rewrite of the input for a network that takes bytes."""
    return Rewrite(update_wrapper(partial(take_bytes, how=how), take_bytes))


def choose(
    precision: str,
    without: Collection[str] = (),
    *,
    added: Collection[str] = (),
    shape: Shape | None = None,
) -> list[Rewrite]:
    """Return the rewrites that pay for a network of a precision, in the order to apply them.

    Those of the precision, as the measurements nearest to `shape` correct them, with those `added`;
    except those `without`, and those that need one which is not among them.

    Raises:
        UsageError: a name is not that of a rewrite.
    """
    _require_known({*without, *added})
    names = (_paying(precision, shape) | set(added)) - set(without)
    rewrites: dict[str, Rewrite] = {}
    for rewrite in REWRITES:
        if rewrite.name in names and rewrites.keys() >= set(rewrite.needs):
            rewrites[rewrite.name] = rewrite
    return [*rewrites.values()]


def _paying(precision: str, shape: Shape | None) -> set[str]:
    """Return the names of a precision's rewrites, and correct them by what was measured."""
    own = _lowered_as(precision)
    names = {rewrite.name for rewrite in REWRITES if own in rewrite.precisions}
    if shape is None:
        return names
    saved = {rewrite.name: _saved(rewrite.name, precision, shape) for rewrite in REWRITES}
    costly = {name for name, saving in saved.items() if saving < 0}
    worth = {name for name, saving in saved.items() if saving > 0}
    return (names | worth) - costly


def _saved(name: str, precision: str, shape: Shape) -> float:
    """Return the microseconds that a rewrite was measured to save, 0 if it is next to nothing."""
    point = nearest(precision, shape, name)
    if point is None or abs(point.saved[name]) < max(LEAST, NOTEWORTHY * point.layer):
        return 0.0
    return point.saved[name]


def nearest(precision: str, shape: Shape, rewrite: str = "") -> catalog.Measured | None:
    """Return the measurement of the network that is most alike: in ratios of tokens and of widths.

    Of those that have a figure of the `rewrite`, if one is given.
    """
    measured_as = _lowered_as(precision)
    points = [
        point
        for point in catalog.gains()
        if point.precision == measured_as and (not rewrite or rewrite in point.saved)
    ]

    def distance(point: catalog.Measured) -> float:
        return sum(
            abs(math.log(own / other)) for own, other in zip(shape, point.shape, strict=True)
        )

    return min(points, key=distance, default=None)


def _lowered_as(precision: str) -> str:
    return catalog.precisions()[precision].lowered_as or precision


def _require_known(names: Collection[str]) -> None:
    known = {rewrite.name for rewrite in REWRITES}
    if unknown := sorted(set(names) - known):
        raise UsageError(
            f"There is no rewrite {unknown[0]!r}.", remedy=f"one of: {', '.join(sorted(known))}"
        )


def _apply(graph: Graph, rewrite: Rewrite) -> Applied:
    before = len(graph.nodes)
    fired = rewrite.apply(graph)
    graph.tidy()
    counts = before, len(graph.nodes)
    return Applied(rewrite.name, rewrite.summary, fired.count, fired.reasons, *counts)
