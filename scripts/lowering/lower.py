"""A float32 network in forms that the HTP is fast at: the same function, to rounding.

What is worth it depends on the precision. Weights are streamed one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openqnn.network.onnx_network import DataFile, Network
from openqnn.progress import heartbeat, say
from scripts.lowering import rewrites
from scripts.lowering.graph import Graph
from scripts.lowering.pixels import take_bytes
from scripts.pictures.preprocess import Preprocessing


def lower(
    source: Path,
    target: Path,
    precision: str,
    without: Sequence[str],
    pixels: Preprocessing | None = None,
) -> None:
    """Write the rewritten network to `target`, its weights to the `.onnx_data` beside it.

    With `pixels` it takes bytes and normalises them so itself.

    Raises:
        ArtefactError: the network is damaged.
        ConversionError: it is not of the form that `export` writes.
        UsageError: `without` names no rewrite.
    """
    chosen = rewrites.choose(precision, without)
    graph = Graph(Network.load(source))
    rewrites.apply(graph, chosen)
    if pixels:
        take_bytes(graph, pixels)
        graph.tidy()
    say(f"  {len(graph.nodes)} nodes after {', '.join(one.name for one in chosen)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with heartbeat("weights"), DataFile(target.with_suffix(".onnx_data")) as data:
        model = graph.save(data)
    target.write_bytes(model.SerializeToString(deterministic=True))
