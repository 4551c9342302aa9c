"""A network that takes bytes: quantised as they are, and calibrated and run on them."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, sharing
from openqnn.quantization.encodings import Encoding, Encodings
from scripts import artefacts, metrics
from scripts.lowering.lower import lower
from scripts.picture_size import PictureSize
from scripts.pictures.preprocess import Preprocessing
from scripts.quantization import widths
from scripts.stages import diagnose, quantize
from tests.networks import vit

HOW = Preprocessing(PictureSize.square(vit.SIZE))
INPUT = "pixel_values"
NUMBERS = f"{INPUT}.numbers"
SHAPE = (1, vit.SIZE, vit.SIZE, 3)


def _run(path: Path, picture: np.ndarray, output: str | None = None) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model: Path | bytes = path
    if output:
        proto = onnx.load(path)
        proto.graph.output.append(onnx.helper.make_empty_tensor_value_info(output))
        model = proto.SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output] if output else ["last_hidden_state"]
    return np.asarray(session.run(names, {INPUT: picture})[0])


def _pictures(folder: Path, count: int) -> list[np.ndarray]:
    folder.mkdir()
    random = np.random.default_rng(3)
    pictures = [random.integers(0, 256, SHAPE, np.uint8) for _ in range(count)]
    for index, picture in enumerate(pictures):
        picture.tofile(folder / f"{index}.rgb")
    (folder / "input_list.txt").write_text("".join(f"{index}.raw\n" for index in range(count)))
    return pictures


@pytest.fixture(params=["int8", "w8a16", "w4a16"])
def files(tmp_path: Path, request: pytest.FixtureRequest) -> Namespace:
    """The float network, the one of bytes, its encodings, and its integers, on random pictures."""
    precision, source = request.param, vit.write(tmp_path)
    target = tmp_path / "bytes.onnx"
    lower(source, target, precision, [], HOW)
    pictures = _pictures(tmp_path / "calibration", 10)
    quantize.main(
        Namespace(
            model="digits",
            precision=precision,
            onnx=target,
            calibration=tmp_path / "calibration",
            method="min-max",
            equalise=True,
            encodings=None,
            target="iq9075",
            widths=None,
            out=tmp_path,
        )
    )
    network = tmp_path / artefacts.quantized_onnx("digits", precision)
    encodings = tmp_path / artefacts.encodings("digits", precision)
    integers = tmp_path / "integers.onnx"
    qdq.insert(network, encodings, integers)
    return Namespace(
        precision=precision,
        source=source,
        network=network,
        encodings=Encodings.load(encodings),
        encodings_file=encodings,
        integers=integers,
        pictures=pictures,
    )


def test_bytes_have_the_encoding_that_is_their_own(files: Namespace) -> None:
    assert files.encodings.activations[NUMBERS] == Encoding(8, (1.0,), 0, symmetric=False)
    assert INPUT not in files.encodings.activations
    assert not [name for name in files.encodings.params if name.startswith("pixels.")]


def test_nothing_quantises_the_input_and_one_node_reads_it(files: Namespace) -> None:
    graph = onnx.load(files.integers).graph
    (reader,) = [node for node in graph.node if INPUT in node.input]
    assert reader.op_type == "DequantizeLinear"
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_no_byte_is_lost(files: Namespace) -> None:
    """What the patch embedding reads is every byte itself, whatever its own width."""
    every = np.arange(np.prod(SHAPE)).astype(np.uint8).reshape(SHAPE)
    graph = onnx.load(files.integers).graph
    convolution = next(node for node in graph.node if node.op_type == "Conv")
    outputs = _run(files.integers, every, convolution.input[0])
    assert np.array_equal(outputs, every.transpose(0, 3, 1, 2).astype(np.float32))


def test_integers_are_close_to_the_float_network_on_normalised_pixels(files: Namespace) -> None:
    expected, actual = [], []
    for picture in files.pictures:
        pixels = ((picture / 255 - HOW.mean) / HOW.std).transpose(0, 3, 1, 2)
        expected.append(_run(files.source, pixels.astype(np.float32)))
        actual.append(_run(files.integers, picture))
    least = {"int8": 0.99, "w8a16": 0.999, "w4a16": 0.99}[files.precision]
    assert metrics.cosine(np.concatenate(expected), np.concatenate(actual)).mean() > least


def test_layers_are_compared_on_bytes(files: Namespace, tmp_path: Path) -> None:
    diagnose.main(
        Namespace(
            out=tmp_path,
            precision=files.precision,
            onnx=files.network,
            encodings=files.encodings_file,
            inputs=tmp_path / "calibration",
            count=2,
        )
    )
    layers = json.loads((tmp_path / "diagnosis" / files.precision / "layers.json").read_text())
    assert min(layer["cosine_mean"] for layer in layers) > 0.98


def test_the_width_of_bytes_is_not_for_choice(files: Namespace) -> None:
    network = Network.load(files.network)
    grids = sharing.given(network)
    assert NUMBERS in grids
    raisable = {name for names in widths.kinds(network).values() for name in names}
    assert not raisable & grids.keys()
    raised = widths.raised(network, files.encodings, raisable)
    assert {raised.activations[name].bits for name in grids} == {8}
