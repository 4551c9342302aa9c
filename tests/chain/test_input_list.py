"""The converter quantises by itself, from a list of inputs: all samples count, at one width."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openqnn import qnn
from scripts.htp import sdk
from tests.chain.building import Network

OPTIONS = ("--use_per_row_quantization", "--bias_bitwidth", "32")


def converted(
    folder: Path, model: Path, samples: list[Path], bits: int, weight_bits: int = 8
) -> dict[str, Any]:
    """Convert in `folder` and return the tensors of the description."""
    folder.mkdir()
    (folder / "list.txt").write_text("".join(f"{path}\n" for path in samples))
    root = sdk.in_force()
    command = [
        *(str(root.tool("qnn-onnx-converter")), "-i", str(model), "-o", "m.cpp"),
        *("--input_list", "list.txt", "--act_bitwidth", str(bits), *OPTIONS),
        *("--weights_bitwidth", str(weight_bits)),
    ]
    subprocess.run(command, cwd=folder, env=root.environment(), check=True)
    read: dict[str, Any] = json.loads((folder / "m_net.json").read_text())["graph"]["tensors"]
    return read


@pytest.mark.parametrize(("bits", "datatype"), [(8, qnn.UFIXED_8), (16, qnn.UFIXED_16)])
def test_the_first_tensor_has_the_range_of_all_samples(
    network: Callable[[str], Network], tmp_path: Path, bits: int, datatype: int
) -> None:
    exported = network("digits")
    tensors = converted(tmp_path / "a", exported.eager, exported.pictures(), bits)
    quantised = [tensor for tensor in tensors.values() if tensor["is_quantizable"]]
    activations = [tensor for tensor in quantised if tensor["type"] == qnn.NATIVE]
    assert tensors["pixel_values.q"]["data_type"] == datatype
    assert sum(tensor["data_type"] == datatype for tensor in activations) > 0.9 * len(activations)
    values = np.concatenate([np.fromfile(path, np.float32) for path in exported.pictures()])
    grid = tensors["pixel_values.q"]["quant_params"]["scale_offset"]
    # Scales are rounded up to a few bits, and the range shifts by a step so that zero is exact.
    slack = 0.02 * float(np.ptp(values))
    assert grid["minimum"] == pytest.approx(values.min(), abs=slack)
    assert grid["maximum"] == pytest.approx(values.max(), abs=slack)


def test_same_samples_same_bytes_others_others(
    network: Callable[[str], Network], tmp_path: Path
) -> None:
    exported = network("digits")
    for name, samples in (
        ("a", exported.pictures()),
        ("b", exported.pictures()),
        ("c", exported.pictures()[:1]),
    ):
        converted(tmp_path / name, exported.eager, samples, 8)
    sources = [(tmp_path / name / "m.cpp").read_bytes() for name in "abc"]
    assert sources[0] == sources[1] != sources[2]


@pytest.mark.parametrize("bits", [8, 16])
def test_weights_get_four_bits(
    network: Callable[[str], Network], tmp_path: Path, bits: int
) -> None:
    exported = network("digits")
    tensors = converted(
        tmp_path / "a", exported.eager, exported.pictures()[:2], bits, weight_bits=4
    )
    of_rows = [
        tensor["quant_params"]["axis_scale_offset"]
        for tensor in tensors.values()
        if "axis_scale_offset" in tensor["quant_params"]
    ]
    assert len(of_rows) > 20
    assert {tensor["bitwidth"] for tensor in of_rows} == {4, 32}  # those of weights, and of biases
