"""Rewrite a float32 network into forms that the HTP is fast at: the same function, to rounding.

What is worth it depends on the precision. Weights are streamed one at a time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import artefacts, catalog
from scripts.stages import preprocess, program, rewrites
from scripts.stages.onnx_network import DataFile, Network
from scripts.stages.preprocess import Preprocessing
from scripts.stages.progress import heartbeat, say
from scripts.stages.rewrites.graph import Graph
from scripts.stages.rewrites.pixels import take_bytes


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


def main(arguments: argparse.Namespace) -> None:
    """Write the lowered network."""
    model = catalog.pick(catalog.models(), arguments.model, "model")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    target = arguments.out / artefacts.lowered_onnx(model.name, precision.name)
    pixels = None
    if arguments.input == catalog.BYTES:
        pixels = preprocess.settings(model.image_size, arguments.weights)
    lower(arguments.onnx, target, precision.name, arguments.without, pixels)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="precision to be fast at")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network from export")
    parser.add_argument(
        "--without", action="append", default=[], metavar="REWRITE", help="leave a rewrite out"
    )
    parser.add_argument(
        "--input",
        choices=catalog.INPUTS,
        default=catalog.FLOATS,
        help="uint8: RGB [1, height, width, 3] as a camera gives it",
    )
    parser.add_argument("--weights", type=Path, help="checkpoint whose mean and deviation hold")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
