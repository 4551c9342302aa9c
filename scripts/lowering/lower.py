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
from scripts.pictures.preprocess import Preprocessing


def lower(
    source: Path,
    target: Path,
    precision: str,
    without: Sequence[str],
    pixels: Preprocessing | None = None,
) -> list[Applied]:
    """Write the rewritten network to `target`, its weights to the `.onnx_data` beside it.

    With `pixels` the network takes bytes, and normalises them itself.

    Returns:
        What each rewrite did.

    Raises:
        DamagedFile: the network is damaged.
        ConversionError: bytes are asked for, and the input is not read by a patch embedding.
        UsageError: `without` names no rewrite.
    """
    selection = rewrites.choose(precision, without)
    selection += [rewrites.of_input(pixels)] if pixels else []
    graph = Graph(Network.load(source))
    applied = rewrites.apply(graph, selection)
    target.parent.mkdir(parents=True, exist_ok=True)
    with heartbeat("weights"), DataFile(target.with_suffix(".onnx_data")) as data:
        model = graph.save(data)
    target.write_bytes(model.SerializeToString(deterministic=True))
    return applied


def report(applied: Sequence[Applied]) -> None:
    """Say what the rewrites did; warn of each that never fired."""
    last = applied[-1].nodes_after if applied else 0
    fired = [f"{rewrite.name} x{rewrite.fired}" for rewrite in applied if rewrite.fired]
    say(f"  {last} nodes after {', '.join(fired) or 'no rewrite'}")
    for rewrite in applied:
        if not rewrite.fired:
            say(f"  warning: {rewrite.name} never fired: {'; '.join(rewrite.reasons)}")
