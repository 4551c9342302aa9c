"""Find where quantisation hurts: compare the residual stream with float32, layer by layer.

Runs on the CPU, on the integer network that the compiler gets. Writes a table and a plot.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from scripts.stages import calibration, chart, metrics, program, qdq, roles
from scripts.stages.calibration import Observer
from scripts.stages.metrics import Features
from scripts.stages.onnx_network import Network
from scripts.stages.picture_input import PictureInput
from scripts.stages.progress import say

FOLDER = "diagnosis"


def main(arguments: argparse.Namespace) -> None:
    """Write `layers.json` and `layers.svg` into `diagnosis/<precision>/`."""
    network = Network.load(arguments.onnx)
    suffix = PictureInput.of(network).suffix
    pictures = calibration.raws(arguments.inputs, suffix)[: arguments.count]
    with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
        path = Path(scratch) / "integers.onnx"
        qdq.insert(arguments.onnx, arguments.encodings, path)
        layers = compare(network, Network.load(path), pictures)
    folder = arguments.out / FOLDER / arguments.precision
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "layers.json").write_text(json.dumps(layers, indent=1) + "\n")
    (folder / "layers.svg").write_text(_plot(arguments.precision, layers))
    steepest = max(pairwise(layers), key=lambda pair: _drop(*pair))
    say(f"  steepest loss between {steepest[0]['tensor']} and {steepest[1]['tensor']}")


def compare(exact: Network, integers: Network, pictures: Sequence[Path]) -> list[dict[str, Any]]:
    """Return cosine and SNR of every tensor that a normalisation reads, and of the output."""
    tensors = residual(exact)
    reference = _values(exact, tensors, tensors, pictures)
    output = exact.graph.output[0].name
    read = [name if name == output else f"{name}.dq" for name in tensors]
    found = _values(integers, tensors, read, pictures)
    return [{"tensor": name, **_likeness(reference[name], found[name])} for name in tensors]


def residual(network: Network) -> list[str]:
    """Return what normalisations read, in order, and the network's output."""
    producers = network.producers()
    found = []
    for node in network.graph.node:
        if node.op_type in roles.NORMS:
            name = node.input[0]
            while name in producers and producers[name].op_type in roles.MOVERS:
                name = producers[name].input[0]
            found.append(name)
    return [*dict.fromkeys(found), network.graph.output[0].name]


def _values(
    network: Network, tensors: Sequence[str], read: Sequence[str], pictures: Sequence[Path]
) -> dict[str, Features]:
    observer = Observer(network)
    for name in read:
        observer.add_output(name)
    seen = observer.collect(pictures, "layers")
    return {tensor: np.stack(seen[name]) for tensor, name in zip(tensors, read, strict=True)}


def _likeness(reference: Features, found: Features) -> dict[str, float]:
    cosines = metrics.cosine(reference, found)
    return {
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_min": round(float(cosines.min()), 6),
        "snr_db": round(metrics.snr_db(reference, found), 3),
    }


def _drop(before: dict[str, Any], after: dict[str, Any]) -> float:
    return float(before["snr_db"] - after["snr_db"])


def _plot(precision: str, layers: Sequence[dict[str, Any]]) -> str:
    labels = [layer["tensor"] for layer in layers]
    series = {"residual stream": [layer["snr_db"] for layer in layers]}
    return chart.lines(f"{precision} against float32, layer by layer", "SNR, dB", labels, series)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--precision", required=True, help="int8 or w8a16")
    parser.add_argument("--onnx", type=Path, required=True, help="network from quantize")
    parser.add_argument("--encodings", type=Path, required=True, help="its encodings")
    parser.add_argument("--inputs", type=Path, required=True, help="image set")
    parser.add_argument("--count", type=int, default=2, help="pictures to run")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
