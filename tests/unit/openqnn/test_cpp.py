"""The source of a model: documented form, numbers that read back the same, nothing lost."""

import dataclasses
import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from openqnn import qnn
from openqnn.converter import archive, cpp, netjson
from openqnn.converter.record import Graph
from tests.unit.openqnn import recorded

GOLDEN = Path("toolchains/openqnn/tests/golden/tiny_fc.cpp")


def model(graph: Graph, folder: Path, bits: int = 32) -> cpp.Model:
    contents = archive.write(folder / "tiny.bin", graph, bits)
    return cpp.Model(
        name="tiny",
        graph=graph,
        stored=contents.weights,
        encodings=contents.encodings,
        version="qaisw-v2.51.0",
        command="qnn-onnx-converter -i tiny.onnx",
    )


def source(folder: Path, bits: int = 32, lines: list[dict[str, object]] | None = None) -> str:
    source = model(recorded.graph(folder / "record", lines), folder, bits)
    cpp.write(folder / "tiny.cpp", source)
    return (folder / "tiny.cpp").read_text()


def listed(text: str) -> list[str]:
    """The lines that list the graph."""
    return [line.strip() for line in text.split("LINES[] = {\n")[1].split("};\n")[0].splitlines()]


def test_one_line_a_tensor_a_parameter_and_a_node_in_order(tmp_path: Path) -> None:
    assert listed(source(tmp_path)) == [
        'INPUT("pixel_values", FLOAT_32, 2, {2, 4}, UNQUANTIZED),',
        'WEIGHT("fc.weight", FLOAT_32, 2, {3, 4}, UNQUANTIZED),',
        'WEIGHT("fc/bias", FLOAT_32, 1, {3}, UNQUANTIZED),',
        'SCALAR("keep_dims", BOOL_8, bool8Value, 0),',
        'OUTPUT("fc.out", NATIVE, FLOAT_32, 2, {2, 3}, UNQUANTIZED),',
        'NODE("fc", "qti.aisw", "FullyConnected", "pixel_values\\0" "fc.weight\\0" "fc/bias\\0"),',
        'PARAM("perm", values_0, "perm", UINT_32, 1, {2}, UNQUANTIZED),',
        'OUTPUT("last_hidden_state", APP_READ, FLOAT_32, 2, {3, 2}, UNQUANTIZED),',
        'NODE("turn", "qti.aisw", "Transpose", "fc.out\\0"),',
    ]


def test_the_golden_model_is_what_is_written(tmp_path: Path) -> None:
    graph = recorded.tiny_fc(tmp_path / "record")
    source = dataclasses.replace(
        model(graph, tmp_path),
        name="tiny_fc",
        version="qaisw-v2.51.0.260929181845",
        command="qnn-onnx-converter -i tiny_fc.onnx -o tiny_fc.cpp",
    )
    cpp.write(tmp_path / "tiny_fc.cpp", source)
    assert (tmp_path / "tiny_fc.cpp").read_text() == GOLDEN.read_text()


def test_equal_values_are_written_once(tmp_path: Path) -> None:
    lines = recorded.calls()
    turn = lines[9]
    lines[9] = {**turn, "params": [*turn["params"], {"name": "again", "tensor": 5}]}
    text = source(tmp_path, lines=lines)
    assert text.count("values_0[] = {1, 0};") == 1
    assert "values_1" not in text
    assert 'PARAM("again", values_0, ' in text


def test_has_what_the_tools_look_for(tmp_path: Path) -> None:
    text = source(tmp_path)
    assert 'const char* QNN_SDK_VERSION = "qaisw-v2.51.0";' in text
    assert re.search(r"QNN_API\nModelError_t QnnModel_composeGraphs\(", text)
    assert re.search(r"QNN_API\nModelError_t QnnModel_freeGraphsInfo\(", text)
    assert '.initialize(backendHandle, interface, contextHandle, "tiny", debug,' in text


def test_weights_are_referred_to_by_their_symbols_and_digests(tmp_path: Path) -> None:
    text = source(tmp_path)
    digest = hashlib.sha256(recorded.WEIGHT.tobytes()).hexdigest()
    both = "{(uint8_t*)BINVARSTART(fc_weight), BINLEN(fc_weight)}"
    assert f"    {both},  // sha256 {digest}\n" in text
    assert len(re.findall(r"// sha256 [0-9a-f]{64}$", text, re.MULTILINE)) == 2


def test_halved_weights_are_widened_one_at_a_time(tmp_path: Path) -> None:
    text = source(tmp_path, bits=16)
    assert "static float buffer[12];" in text
    assert 'HALF_WEIGHT("fc.weight", FLOAT_32, 2, {3, 4}, UNQUANTIZED),' in listed(text)
    assert 'WEIGHT("fc/bias", FLOAT_32, 1, {3}, UNQUANTIZED),' in listed(text)


@pytest.mark.parametrize(
    ("encoding", "value", "says"),
    [
        (qnn.SCALE_OFFSET, {"scale": 0.25, "offset": -3}, "SCALE_OFFSET(0.25f, -3)"),
        (
            qnn.BW_SCALE_OFFSET,
            {"bitwidth": 4, "scale": 2.0, "offset": 0},
            "BW_SCALE_OFFSET(4, 2.0f, 0)",
        ),
        (
            qnn.AXIS_SCALE_OFFSET,
            {"axis": 1, "scales": recorded.SCALES, "offsets": recorded.OFFSETS},
            "AXIS_SCALE_OFFSET(1, 3)",
        ),
        (
            qnn.BW_AXIS_SCALE_OFFSET,
            {"bitwidth": 4, "axis": 0, "scales": recorded.SCALES, "offsets": recorded.OFFSETS},
            "BW_AXIS_SCALE_OFFSET(4, 0, 3)",
        ),
    ],
)
def test_a_line_names_its_encoding(
    tmp_path: Path, encoding: int, value: dict[str, object], says: str
) -> None:
    lines = recorded.calls()
    lines[3]["quantization"] = {"encoding": encoding, "value": value}
    text = source(tmp_path, lines=lines)
    assert f'WEIGHT("fc.weight", FLOAT_32, 2, {{3, 4}}, {says}),' in listed(text)
    along_axis = "AXIS" in says
    assert ("uint8_t* encodings = (uint8_t*)BINVARSTART(encodings_per_axis);" in text) == along_axis
    assert ("uint8_t* encodings = nullptr;" in text) != along_axis


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, 1e-5, 0.1, 16777217.0, 3.4028234e38, 1e-45, -2.5, 1e20]
)
def test_floats_read_back_to_the_bit(value: float) -> None:
    exact = float(np.float32(value))
    text = cpp.number(exact, qnn.FLOAT_32)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?f", text)
    assert "." in text or "e" in text
    back = np.float32(text.removesuffix("f"))
    assert back == np.float32(exact)
    assert math.copysign(1, back) == math.copysign(1, exact)


def test_infinity_and_nan_have_spellings() -> None:
    assert cpp.number(math.inf, qnn.FLOAT_32) == "__builtin_inff()"
    assert cpp.number(-math.inf, qnn.FLOAT_64) == "-__builtin_inf()"
    assert cpp.number(math.nan, qnn.FLOAT_32) == '__builtin_nanf("")'


def test_strings_are_quoted() -> None:
    assert cpp.quoted('a"b\\c') == '"a\\"b\\\\c"'


def test_description_lists_tensors_and_nodes(tmp_path: Path) -> None:
    lines = recorded.calls()
    lines[3]["quantization"] = {
        "encoding": 1,
        "value": {"axis": 0, "scales": recorded.SCALES, "offsets": recorded.OFFSETS},
    }
    source = model(recorded.graph(tmp_path / "record", lines), tmp_path)
    netjson.write(tmp_path / "tiny_net.json", source)
    read = json.loads((tmp_path / "tiny_net.json").read_text())
    assert read["model.bin"] == "tiny.bin"
    tensors, nodes = read["graph"]["tensors"], read["graph"]["nodes"]
    assert tensors["pixel_values"]["dims"] == [2, 4]
    assert tensors["fc.weight"]["params_count"] == 12
    assert "perm" not in tensors
    by_axis = tensors["fc.weight"]["quant_params"]["axis_scale_offset"]
    assert (by_axis["scales"], by_axis["offsets"]) == (recorded.SCALES, [0])
    assert nodes["fc"]["input_names"] == ["pixel_values", "fc.weight", "fc/bias"]
    assert nodes["fc"]["scalar_params"] == {"keep_dims": {str(qnn.BOOL_8): 0}}
    assert nodes["fc"]["macs_per_inference"] == "24"
    assert nodes["turn"]["tensor_params"]["perm"]["perm"]["data"] == [1, 0]
