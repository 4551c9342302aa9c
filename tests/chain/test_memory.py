"""The converter's memory does not grow with the model: it holds the weights of a piece."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from openqnn.network.onnx_network import DataFile
from scripts.htp import sdk

SIDE, BLOCKS, RELUS = 4096, 8, 100  # 8 matrices of 64 MiB each
# Runs a program and prints the MiB that it and what it starts took at most.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""


def _deep(path: Path) -> None:
    """Write a network of large matrices, many small operators between them."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIDE]) for name in "xy"]
    graph = helper.make_graph([], "deep", ends[:1], ends[1:])
    with DataFile(path.with_suffix(".onnx_data")) as data:
        for block in range(BLOCKS):
            weight = np.full((SIDE, SIDE), block, np.float32)
            graph.initializer.append(data.store(f"w{block}", weight))
            names = [f"{block}.{step}" for step in range(RELUS)]
            source = f"{block - 1}.{RELUS - 1}" if block else "x"
            graph.node.append(helper.make_node("MatMul", [source, f"w{block}"], [names[0]]))
            graph.node.extend(
                helper.make_node("Relu", [before], [other]) for before, other in pairwise(names)
            )
    graph.node.append(helper.make_node("Relu", [f"{BLOCKS - 1}.{RELUS - 1}"], ["y"]))
    opset = helper.make_opsetid("", 21)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)


def test_converting_half_a_gigabyte_takes_a_few_pieces_of_memory(tmp_path: Path) -> None:
    _deep(tmp_path / "deep.onnx")
    converter = sdk.in_force().tool("qnn-onnx-converter")
    files = ["-i", str(tmp_path / "deep.onnx"), "-o", str(tmp_path / "deep.cpp")]
    how = ["--preserve_io", "--float_bitwidth", "16"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(converter), *files, *how],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 420
    assert (tmp_path / "deep.bin").stat().st_size > BLOCKS * SIDE * SIDE * 2
