"""openqnn works on its own: nothing of the repository that it lives in is on the path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

HOST = "x86_64-linux-clang"
INPUTS, OUTPUTS, ROWS = 8, 4, 2
FLOAT_32, UFIXED_8, SFIXED_8 = 0x0232, 0x0408, 0x0308
WEIGHT = np.random.default_rng(0).standard_normal((INPUTS, OUTPUTS)).astype(np.float32)
# What the programs get of the environment: where `python3` and the compilers are.
ENVIRONMENT = {"PATH": os.environ["PATH"]}

Alone = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def alone(root: Path, tmp_path: Path) -> Alone:
    """Run a program of openqnn in an empty folder, with an empty environment."""

    def call(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(root / "bin" / HOST / program), *map(str, arguments)]
        return subprocess.run(
            command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One linear layer, [rows, inputs] to [rows, outputs]."""
    shapes = {"x": [ROWS, INPUTS], "y": [ROWS, OUTPUTS]}
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    node = helper.make_node("Gemm", ["x", "w"], ["y"], name="fc")
    graph = helper.make_graph([node], "fc", [x], [y], [numpy_helper.from_array(WEIGHT, "w")])
    path = tmp_path / "fc.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path
    )
    return path


def tensors(tmp_path: Path) -> set[int]:
    """The data types of the converted model's tensors."""
    described: dict[str, Any] = json.loads((tmp_path / "out_net.json").read_text())
    return {tensor["data_type"] for tensor in described["graph"]["tensors"].values()}


def activation(limit: float) -> list[dict[str, Any]]:
    entry = {"bitwidth": 8, "is_symmetric": "False", "scale": 2 * limit / 255, "offset": -128}
    return [entry | {"dtype": "int", "min": -limit, "max": limit}]


def test_nothing_of_the_repository_is_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import scripts"], env=ENVIRONMENT, cwd=tmp_path, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "No module named 'scripts'" in done.stderr


@pytest.mark.parametrize("program", ["qnn-onnx-converter", "qnn-model-lib-generator"])
def test_help(alone: Alone, program: str) -> None:
    done = alone(program, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {program}")


def test_it_quantises_from_encodings(alone: Alone, model: Path, tmp_path: Path) -> None:
    rows = [
        {"bitwidth": 8, "dtype": "int", "is_symmetric": "True", "scale": float(s), "offset": -128}
        for s in np.abs(WEIGHT).max(axis=0) / 127
    ]
    encodings = {"activation_encodings": {"x": activation(4), "y": activation(10)}}
    document = {"version": "0.6.1", **encodings, "param_encodings": {"w": rows}}
    (tmp_path / "encodings.json").write_text(json.dumps(document))
    done = alone(
        "qnn-onnx-converter", "-i", model, "--quantization_overrides", "encodings.json",
        "-o", "out.cpp",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {UFIXED_8, SFIXED_8} <= tensors(tmp_path)


def test_it_quantises_from_inputs(alone: Alone, model: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for number in range(2):
        sample = random.standard_normal((ROWS, INPUTS)).astype(np.float32)
        sample.tofile(tmp_path / f"{number}.raw")
    (tmp_path / "list.txt").write_text("0.raw\nx:=1.raw\n")
    done = alone(
        "qnn-onnx-converter", "-i", model, "--input_list", "list.txt", "-o", "out.cpp",
        "--use_per_row_quantization", "--bias_bitwidth", "32",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {UFIXED_8, SFIXED_8} <= tensors(tmp_path)


def test_a_library_comes_of_what_it_converted(alone: Alone, model: Path, tmp_path: Path) -> None:
    converted = alone("qnn-onnx-converter", "-i", model, "-o", "out.cpp")
    assert converted.returncode == 0, converted.stderr
    assert tensors(tmp_path) == {FLOAT_32}
    done = alone(
        "qnn-model-lib-generator", "-c", "out.cpp", "-b", "out.bin", "-o", "libs", "-l", "fc",
        "-t", HOST,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "libs" / HOST / "libfc.so").is_file()
