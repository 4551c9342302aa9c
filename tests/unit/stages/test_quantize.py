from argparse import Namespace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization import qdq, recipe
from openqnn.quantization.encodings import Encodings
from openqnn.refusal import Refused, UnfitSamples
from scripts import artefacts, catalog
from scripts.errors import CalibrationError, UsageError
from scripts.quantization.calibration import Source
from scripts.stages import quantize
from tests.networks import small_network


def _quantize(
    folder: Path, precision: str, method: str = "min-max", widths: Path | None = None
) -> tuple[Path, Path]:
    network, raws = small_network.write(folder), folder / "set"
    if not raws.exists():
        small_network.write_raws(raws)
    out = folder / "out"
    quantize.main(
        Namespace(
            model="digits",
            precision=precision,
            onnx=network,
            calibration=raws,
            method=method,
            equalise=True,
            encodings=None,
            target="iq9075",
            widths=widths,
            out=out,
        )
    )
    return (
        out / artefacts.quantized_onnx("digits", precision),
        out / artefacts.encodings("digits", precision),
    )


def test_pins_of_another_network_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "encoded", lambda *_: pytest.fail("measured"))
    pins = tmp_path / "widths.json"
    for text in ('{"8": {"Tan to Add": "all"}}', '{"16": {"Norm to output": ["elsewhere"]}}'):
        pins.write_text(text)
        with pytest.raises(UsageError, match="which this network does not have"):
            _quantize(tmp_path, "int8", widths=pins)


def _run(model: Path, raw: Path) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    picture = np.fromfile(raw, np.float32).reshape(1, 3, 16, 16)
    return np.asarray(session.run(None, {"pixel_values": picture})[0])


def _snr(reference: np.ndarray, actual: np.ndarray) -> float:
    return float(10 * np.log10((reference**2).sum() / ((reference - actual) ** 2).sum()))


@pytest.mark.parametrize(
    ("precision", "method", "least"),
    [
        ("int8", "min-max", 25),
        ("int8", "percentile", 20),
        ("int8", "mse", 25),
        ("w8a16", "min-max", 35),
        ("w4a16", "min-max", 15),
    ],
)
def test_the_quantised_network_is_close_to_the_float_one(
    tmp_path: Path, precision: str, method: str, least: float
) -> None:
    network, encodings = _quantize(tmp_path, precision, method)
    qdq.insert(network, encodings, tmp_path / "qdq.onnx")
    raw = tmp_path / "set" / "000000.raw"
    assert _snr(_run(network, raw), _run(tmp_path / "qdq.onnx", raw)) > least


def test_equal_grids_are_one_constant(tmp_path: Path) -> None:
    network, encodings = _quantize(tmp_path, "w8a16")
    qdq.insert(network, encodings, tmp_path / "qdq.onnx")
    model = onnx.load(tmp_path / "qdq.onnx")
    values = [
        (constant.data_type, constant.raw_data)
        for constant in model.graph.initializer
        if constant.name.startswith(("scale.", "zero."))
    ]
    assert values
    assert len(values) == len(set(values))


def test_types_in_the_quantised_network(tmp_path: Path) -> None:
    network, encodings = _quantize(tmp_path, "w8a16")
    qdq.insert(network, encodings, tmp_path / "qdq.onnx")
    model = onnx.load(tmp_path / "qdq.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["query.weight.8.q"] == onnx.TensorProto.INT8
    assert kinds["patches.patch.bias.q"] == onnx.TensorProto.INT32
    assert kinds["out.bias.16.q"] == onnx.TensorProto.UINT16
    tokens = next(node for node in model.graph.node if node.name == "tokens.q")
    assert kinds[tokens.input[2]] == onnx.TensorProto.UINT16
    ends = [*model.graph.input, *model.graph.output]
    assert [end.name for end in ends] == ["pixel_values", "last_hidden_state"]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}


def test_weights_have_one_scale_a_row_and_movers_share_an_encoding(tmp_path: Path) -> None:
    encodings = Encodings.load(_quantize(tmp_path, "int8")[1])
    assert len(encodings.params["query.weight"].scales) == small_network.WIDTH
    assert len(encodings.params["patch.weight"].scales) == small_network.WIDTH
    assert "patch.bias" not in encodings.params
    assert encodings.activations["rows"] == encodings.activations["patches"]
    assert encodings.activations["attention"].range() == pytest.approx((0, 1), abs=0.01)


def test_tensors_read_at_another_width_are_converted(tmp_path: Path) -> None:
    network, path = _quantize(tmp_path, "int8")
    encodings = Encodings.load(path)
    encodings.activations["last_hidden_state"] = encodings.activations["last_hidden_state"].at(16)
    encodings.save(path)
    qdq.insert(network, path, tmp_path / "qdq.onnx")
    names = {node.name for node in onnx.load(tmp_path / "qdq.onnx").graph.node}
    assert {"biased.16.q", "tokens.16.q"} <= names
    raw = tmp_path / "set" / "000000.raw"
    assert _snr(_run(network, raw), _run(tmp_path / "qdq.onnx", raw)) > 25


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    operators = []
    for name in ("one", "a_longer_name"):
        (tmp_path / name).mkdir()
        network, encodings = _quantize(tmp_path / name, "int8")
        qdq.insert(network, encodings, tmp_path / name / "qdq.onnx")
        files = (network, encodings, *sorted((tmp_path / name).glob("qdq.*")))
        operators.append([file.read_bytes() for file in files])
    assert operators[0] == operators[1]


def test_float_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to quantise"):
        _quantize(tmp_path, "fp16")


@pytest.mark.parametrize("part", ["activations", "params"])
def test_encodings_of_another_network_are_refused(tmp_path: Path, part: str) -> None:
    network, path = _quantize(tmp_path, "int8")
    encodings = Encodings.load(path)
    entries = getattr(encodings, part)
    entries["no_such_tensor"] = next(iter(entries.values()))
    encodings.save(path)
    with pytest.raises(Refused, match=r"no_such_tensor.*not in the network"):
        qdq.insert(network, path, tmp_path / "qdq.onnx")
    del entries["no_such_tensor"], entries[lost := max(entries)]
    encodings.save(path)
    with pytest.raises(Refused, match=f"{lost}.*no encoding"):
        qdq.insert(network, path, tmp_path / "qdq.onnx")


def test_an_old_opset_is_refused(tmp_path: Path) -> None:
    network, path = _quantize(tmp_path, "int8")
    model = onnx.load(network)
    model.opset_import[0].version = 18
    onnx.save(model, network)
    with pytest.raises(Refused, match="opset 18"):
        qdq.insert(network, path, tmp_path / "qdq.onnx")


def test_a_constant_in_two_roles_is_separated(tmp_path: Path) -> None:
    model = onnx.load(small_network.write(tmp_path))
    # The bias of the patches is added once more, as an ordinary operand.
    add = next(node for node in model.graph.node if "out.bias" in node.input)
    add.input[1] = "patch.bias"
    network = Network(model, tmp_path)
    recipe.separate_constants(network)
    assert add.input[1] == "patch.bias.operand0"
    assert np.array_equal(network.array("patch.bias.operand0"), network.array("patch.bias"))


def _damage(folder: Path, how: str) -> None:
    raw = folder / "000001.raw"
    if how == "missing":
        raw.unlink()
    if how == "short":
        raw.write_bytes(raw.read_bytes()[:-4])
    if how == "nan":
        values = np.fromfile(raw, np.float32)
        values[5] = np.nan
        values.tofile(raw)
    if how == "unlisted":
        (folder / "input_list.txt").unlink()


@pytest.mark.parametrize("how", ["missing", "short", "nan", "unlisted"])
def test_a_damaged_calibration_set_is_refused(tmp_path: Path, how: str) -> None:
    _damage(small_network.write_raws(tmp_path / "set"), how)
    with pytest.raises((CalibrationError, UnfitSamples)):
        _quantize(tmp_path, "int8")


def test_a_network_that_overflows_is_refused(tmp_path: Path) -> None:
    path = small_network.write(tmp_path)
    model = onnx.load(path)
    scale = next(constant for constant in model.graph.initializer if constant.name == "norm.weight")
    scale.CopyFrom(onnx.numpy_helper.from_array(np.full(8, np.inf, np.float32), "norm.weight"))
    onnx.save(model, path)
    raws = small_network.write_raws(tmp_path / "set")
    source = Source(path, [raws / "000000.raw"], (), "min-max", equal=True)
    with pytest.raises(UnfitSamples, match="not finite"):
        source.encoded(catalog.precisions()["int8"], tmp_path / "quantised.onnx")
