"""The ONNX model that is translated: as given, or with its encodings put in as Q and DQ nodes.

Calibrating and inserting are the work of the repository's own stages. What calibration does here is
the plain recipe: no equalisation, one width for all activations; the pipeline's is `quantize`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from openqnn.refusal import Refused


def prepared(chosen: argparse.Namespace, folder: Path) -> Path:
    """Return the model to translate; one with Q and DQ nodes is written into `folder`.

    Raises:
        Refused: encodings do not fit the model, or calibration inputs are missing or damaged.
    """
    model: Path = chosen.input_network
    if not (chosen.quantization_overrides or chosen.input_list):
        return model
    with _refusing():
        encodings = chosen.quantization_overrides
        if chosen.input_list:
            model, encodings = _calibrated(chosen, folder)
        return _with_encodings(model, encodings, folder / "quantised.onnx")


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


def _calibrated(chosen: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """Write the model and the encodings that calibration gives it."""
    from scripts.stages import quantize
    from scripts.stages.encodings import Encodings
    from scripts.stages.onnx_network import Network

    network = Network.load(chosen.input_network)
    samples = listed(chosen.input_list, [value.name for value in network.graph.input])
    quantize.separate_constants(network)
    model, encodings = folder / "float.onnx", folder / "encodings.json"
    data = model.with_suffix(".onnx_data")
    network, limits = quantize.scaled(network, samples, data, equal=False)
    method, bits = chosen.act_quantizer_calibration, chosen.act_bitwidth
    made = Encodings(
        quantize.activation_encodings(network, limits, samples, method, bits),
        quantize.param_encodings(network, bits),
    )
    quantize.fit_biases(network, made)
    made.save(encodings)
    onnx.save(network.model, model)
    return model, encodings


def _with_encodings(model: Path, encodings: Path, out: Path) -> Path:
    from scripts.stages import qdq

    qdq.insert(model, encodings, out)
    return out


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the repository's stages refuse into this program's refusal."""
    try:
        from scripts.errors import PipelineError
    except ImportError as error:
        raise Refused("Quantising needs this project's sources on the PYTHONPATH.") from error
    try:
        yield
    except PipelineError as error:
        raise Refused(str(error)) from error
