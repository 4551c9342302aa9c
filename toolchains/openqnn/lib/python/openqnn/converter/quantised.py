"""The ONNX model that is translated: as given, or with its encodings put in as Q and DQ nodes.

What calibration does here is the plain recipe: one width for all activations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, recipe
from openqnn.quantization.encodings import Encodings
from openqnn.refusal import Refused


def prepared(chosen: argparse.Namespace, folder: Path) -> Path:
    """Return the model to translate; one with Q and DQ nodes is written into `folder`.

    Raises:
        Refused: encodings do not fit the model, or calibration inputs are missing or damaged.
    """
    model: Path = chosen.input_network
    if not (chosen.quantization_overrides or chosen.input_list):
        return model
    if chosen.input_list:
        return _calibrated(chosen, folder)
    encodings = Encodings.load(chosen.quantization_overrides)
    return _with_encodings(Network.load(model), encodings, folder)


def listed(input_list: Path, inputs: list[str]) -> list[Path]:
    """Return the files of an input list: one line a sample, `path` or `name:=path`.

    Raises:
        Refused: a line names several inputs, or an input or a file that is not there.
    """
    files = []
    for line in filter(None, map(str.strip, input_list.read_text().splitlines())):
        name, assigned, path = line.rpartition(":=")
        if len(inputs) != 1 or ":=" in name or (assigned and name != inputs[0]):
            raise Refused(f"{input_list}: {line!r} is not one file for the input {inputs}.")
        if not Path(path).is_file():
            raise Refused(f"{input_list}: {path} does not exist.")
        files.append(Path(path))
    if not files:
        raise Refused(f"{input_list} lists no inputs.")
    return files


def _calibrated(chosen: argparse.Namespace, folder: Path) -> Path:
    network = Network.load(chosen.input_network)
    files = listed(chosen.input_list, [value.name for value in network.graph.input])
    method, bits = chosen.act_quantizer_calibration, chosen.act_bitwidth
    encodings = recipe.calibrated(network, files, method, bits, chosen.weights_bitwidth)
    return _with_encodings(network, encodings, folder)


def _with_encodings(network: Network, encodings: Encodings, folder: Path) -> Path:
    out = folder / "quantised.onnx"
    qdq.write(network, encodings, out)
    return out
