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

from openqnn.network.onnx_network import Network
from openqnn.progress import say
from openqnn.quantization import qdq
from scripts import chart, program
from scripts.pictures import image_set
from scripts.pictures.picture_input import PictureInput
from scripts.verification.layers import compare

FOLDER = "diagnosis"


def main(arguments: argparse.Namespace) -> None:
    """Write `layers.json` and `layers.svg` into `diagnosis/<precision>/`."""
    network = Network.load(arguments.onnx)
    suffix = PictureInput.of(network).suffix
    pictures = image_set.raws(arguments.inputs, suffix)[: arguments.count]
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
