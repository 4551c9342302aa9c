"""The source of a model: documented form, numbers that read back the same, nothing lost."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from openqnn import qnn
from openqnn.converter import archive, cpp, names, netjson
from openqnn.converter.record import Graph
from tests.unit.openqnn import recorded


def model(graph: Graph, folder: Path, bits: int = 32) -> cpp.Model:
    tensors = names.identifiers(one.name for one in graph.tensors)
    return cpp.Model(
        name="tiny",
        graph=graph,
        tensors=tensors,
        nodes=names.identifiers(one.name for one in graph.nodes),
        stored=archive.write(folder / "tiny.bin", graph, tensors, bits),
        version="qaisw-v2.51.0",
        command="qnn-onnx-converter -i tiny.onnx",
    )


def source(folder: Path, bits: int = 32, lines: list[dict[str, object]] | None = None) -> str:
    made = model(recorded.graph(folder / "record", lines), folder, bits)
    cpp.write(folder / "tiny.cpp", made)
    return (folder / "tiny.cpp").read_text()


def test_one_function_a_tensor_and_a_node_each_called_once_in_order(tmp_path: Path) -> None:
    text = source(tmp_path)
    defined = re.findall(r"^static ModelError_t (add\w+)\(", text, re.MULTILINE)
    called = re.findall(r"VALIDATE\((add\w+)\(tiny\), err\)", text)
    assert defined == called
    assert called == [
        "addTensor_pixel_values",
        "addTensor_fc_weight",
        "addTensor_fc_bias",
        "addNode_fc",
        "addNode_turn",
    ]


def test_has_what_the_tools_look_for(tmp_path: Path) -> None:
    text = source(tmp_path)
    assert 'const char* QNN_SDK_VERSION = "qaisw-v2.51.0";' in text
    assert re.search(r"QNN_API\nModelError_t QnnModel_composeGraphs\(", text)
    assert re.search(r"QNN_API\nModelError_t QnnModel_freeGraphsInfo\(", text)
    assert '.initialize(backendHandle, interface, contextHandle, "tiny", debug,' in text


def test_weights_are_referred_to_by_their_symbols_and_digests(tmp_path: Path) -> None:
    text = source(tmp_path)
    assert "BINVARSTART(fc_weight)" in text
    assert "BINLEN(fc_bias)" in text
    assert len(re.findall(r"^  // weights: \w+ sha256 [0-9a-f]{64}$", text, re.MULTILINE)) == 2


def test_runtime_names_are_those_of_the_network(tmp_path: Path) -> None:
    assert '.name= "fc/bias"' in source(tmp_path)


def test_halved_weights_are_widened_one_at_a_time(tmp_path: Path) -> None:
    text = source(tmp_path, bits=16)
    assert "static const uint32_t LARGEST_WEIGHT = 12;" in text
    assert ".data=widened(BINVARSTART(fc_weight), BINLEN(fc_weight))" in text
    assert ".dataSize=2 * BINLEN(fc_weight)" in text
    assert "widened(BINVARSTART(fc_bias)" not in text


def test_without_halved_weights_there_is_no_buffer(tmp_path: Path) -> None:
    assert "widened" not in source(tmp_path)


def test_encodings_per_axis_are_written_in_full(tmp_path: Path) -> None:
    lines = recorded.calls()
    lines[3]["quantization"] = {
        "encoding": 1,
        "value": {"axis": 0, "scales": recorded.SCALES, "offsets": recorded.OFFSETS},
    }
    text = source(tmp_path, lines=lines)
    assert ".axisScaleOffsetEncoding= {.axis= 0, .numScaleOffsets= 3, " in text
    assert "{.scale= 0.5f, .offset= 0}, {.scale= 0.25f, .offset= 0},\n" in text


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
    made = model(recorded.graph(tmp_path / "record", lines), tmp_path)
    netjson.write(tmp_path / "tiny_net.json", made)
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
