"""A float32 network in forms that the HTP is fast at: the same function, to rounding.

Which forms are fast depends on the precision. Weights are streamed one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openqnn.network.onnx_network import DataFile, Network
from openqnn.progress import heartbeat, say
from scripts.lowering import rewrites
from scripts.lowering.graph import Graph
from scripts.lowering.rewrites import Applied
from scripts.lowering.tokens import joined_tokens
from scripts.pictures.preprocess import Preprocessing


def lower(
    source: Path,
    target: Path,
    precision: str,
    without: Sequence[str],
    pixels: Preprocessing | None = None,
    added: Sequence[str] = (),
) -> list[Applied]:
    """Write the rewritten network to `target`, its weights to the `.onnx_data` beside it.

    With `pixels` the network takes bytes, and normalises them itself. `without` and `added` are
    rewrites to leave out and to apply whatever was measured.

    Returns:
        What each rewrite did.

    Raises:
        DamagedFile: the network is damaged.
        ConversionError: bytes are asked for, and the input is not read by a patch embedding.
        UsageError: `without` or `added` names no rewrite.
    """
    graph = Graph(Network.load(source))
    own = shape(graph)
    _say_measured(precision, own)
    selection = rewrites.choose(precision, without, added=added, shape=own)
    selection += [rewrites.of_input(pixels)] if pixels else []
    applied = rewrites.apply(graph, selection)
    target.parent.mkdir(parents=True, exist_ok=True)
    with heartbeat("weights"), DataFile(target.with_suffix(".onnx_data")) as data:
        model = graph.save(data)
    target.write_bytes(model.SerializeToString(deterministic=True))
    return applied


def shape(graph: Graph) -> rewrites.Shape | None:
    """Return the numbers of tokens and of channels of an exported network, if it is one."""
    joined = joined_tokens(graph)
    if joined is None:
        return None
    *_, tokens, width = graph.shapes[joined.output[0]]
    return tokens, width


def _say_measured(precision: str, own: rewrites.Shape | None) -> None:
    """Say which measurement the choice of rewrites goes by, and how far it is."""
    point = rewrites.nearest(precision, own) if own else None
    if point is None or own is None:
        return
    say(f"  rewrites chosen by what was measured of {point.model} at {point.size} pixels")
    if point.shape != own:
        tokens, width = point.shape
        say(f"  the most alike: {tokens} tokens of {width} channels; here {own[0]} of {own[1]}")


def report(applied: Sequence[Applied]) -> None:
    """Say what the rewrites did; warn of each that never fired."""
    last = applied[-1].nodes_after if applied else 0
    fired = [f"{rewrite.name} x{rewrite.fired}" for rewrite in applied if rewrite.fired]
    say(f"  {last} nodes after {', '.join(fired) or 'no rewrite'}")
    for rewrite in applied:
        if not rewrite.fired:
            say(f"  warning: {rewrite.name} never fired: {'; '.join(rewrite.reasons)}")
