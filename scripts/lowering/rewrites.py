"""The rewrites of `lower`, each exact in fp32 and there for a measured gain (docs/lowering.md)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial, update_wrapper

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
from scripts.lowering.rotary import signed_rotary, summed_rotary, whole_rotary
from scripts.lowering.tokens import flat_linears, pad_tokens
from scripts.pictures.preprocess import Preprocessing

EVERY = ("fp16", "int8", "mixed", "w8a16")


@dataclass(frozen=True)
class Rewrite:
    """A rewrite, the precisions that it pays for, and the rewrites it builds on."""

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
    Rewrite(summed_rotary, ("int8", "mixed", "w8a16"), ("whole-rotary",)),
    Rewrite(flat_linears),
    Rewrite(pad_tokens, needs=("whole-rotary", "flat-linears")),
    Rewrite(split_heads),
    # In float16 the compiler has no cost for an RMSNorm, and in 16 bits a LayerNorm is faster.
    Rewrite(rms_norms, ("int8", "mixed"), ("fold-layer-scale", "flat-linears")),
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


def choose(precision: str, without: Collection[str] = ()) -> list[Rewrite]:
    """Return the rewrites that pay for a precision, except some and those that need them.

    Raises:
        UsageError: a name is not that of a rewrite.
    """
    names = {rewrite.name for rewrite in REWRITES}
    if unknown := sorted(set(without) - names):
        raise UsageError(
            f"There is no rewrite {unknown[0]!r}.", remedy=f"one of: {', '.join(sorted(names))}"
        )
    rewrites: dict[str, Rewrite] = {}
    for rewrite in REWRITES:
        if (
            precision in rewrite.precisions
            and rewrite.name not in without
            and rewrites.keys() >= set(rewrite.needs)
        ):
            rewrites[rewrite.name] = rewrite
    return [*rewrites.values()]


def _apply(graph: Graph, rewrite: Rewrite) -> Applied:
    before = len(graph.nodes)
    fired = rewrite.apply(graph)
    graph.tidy()
    counts = before, len(graph.nodes)
    return Applied(rewrite.name, rewrite.summary, fired.count, fired.reasons, *counts)
