"""What rounding the weights of a stand-in loses, activations being floats (docs/accuracy.md).

python -m tests.networks.rounding --network G --bits 4 --linears all --how gptq --out DIR

In the image. DIR has the stand-in in w8a16: `python -m tests.networks.measure` left it there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization import observe
from openqnn.quantization.encodings import Encoding, Encodings
from openqnn.quantization.qdq import quantize
from scripts import artefacts, catalog, metrics, program
from scripts.quantization import calibration, narrow, rounding
from tests.networks.standins import STANDINS

PRECISION = "w8a16"
NEAREST, MSE, GPTQ = HOW = "nearest", "mse", "gptq"


def main(arguments: argparse.Namespace) -> None:
    """Say how far the outputs are from those of float weights, on the held-out pictures."""
    standin = STANDINS[arguments.network]
    model = standin.model
    calibrated, held_out = (
        sorted((arguments.out / standin.folder / artefacts.image_set(name)).glob("*.raw"))
        for name in ("calibration", "heldout")
    )
    source = arguments.out / f"{arguments.network}-{PRECISION}"
    path = source / artefacts.quantized_onnx(model, PRECISION)
    encodings = Encodings.load(source / artefacts.encodings(model, PRECISION))
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        for file in (path, path.with_suffix(".onnx_data")):
            shutil.copy(file, Path(folder) / file.name)
        network, started = Network.load(Path(folder) / path.name), time.monotonic()
        pictures, _ = calibration.split(calibrated)
        if arguments.how == GPTQ:
            narrow.narrowed(network, encodings, pictures, arguments.bits, arguments.linears)
        else:
            _round(network, arguments)
        seconds = round(time.monotonic() - started, 1)
        cosines = metrics.cosine(*(_tokens(n, held_out) for n in (Network.load(path), network)))
    figures = {"cls_mean": cosines[:, 0].mean(), "cls_min": cosines[:, 0].min()}
    said = {name: round(float(value), 6) for name, value in figures.items()}
    print(json.dumps({**_parameters(arguments), **said, "seconds": seconds}))


def _round(network: Network, arguments: argparse.Namespace) -> None:
    """Round weights to nearest: with the widest scales, or those of the least squared error."""
    for node in narrow.linears(network, arguments.linears):
        weight = np.asarray(network.array(node.input[1]))
        encoding = rounding.least_squares(network, node, arguments.bits)
        axis = roles.output_axis(node, weight.ndim)
        if arguments.how == NEAREST:
            most = np.abs(weight).max(axis=1 - axis) / (2 ** (arguments.bits - 1) - 1)
            encoding = replace(encoding, scales=tuple(most.tolist()))
        _overwrite(network, node.input[1], weight, encoding, axis)


def _overwrite(
    network: Network, name: str, weight: np.ndarray, encoding: Encoding, axis: int
) -> None:
    scales = np.expand_dims(np.array(encoding.scales), 1 - axis)
    integers = quantize(weight, encoding, axis).astype(np.float32)
    rounding.overwrite(network, name, integers * scales)


def _tokens(network: Network, pictures: list[Path]) -> np.ndarray:
    (values,) = observe.outputs(network, pictures, "outputs").values()
    return metrics.vectors(np.concatenate(values))


def _parameters(arguments: argparse.Namespace) -> dict[str, str | int]:
    return {name: getattr(arguments, name) for name in ("network", "bits", "linears", "how")}


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--network", choices=STANDINS, required=True, help="which stand-in")
    parser.add_argument("--bits", type=int, default=4, help="of weights")
    parser.add_argument("--linears", choices=catalog.LINEARS, default=catalog.EVERY_LINEAR)
    parser.add_argument("--how", choices=HOW, default=GPTQ)
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
