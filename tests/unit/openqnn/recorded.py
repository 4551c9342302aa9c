"""A small record, as the recorder writes it: a matrix product with a bias, then a transposition."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from openqnn import qnn
from openqnn.converter import record

SCALES, OFFSETS = [0.5, 0.25, 0.125], [0, 0, 0]
WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4) / 3
BIAS = np.array([0.1, 0.2, 0.3], np.float32)
PERM = np.array([1, 0], np.uint32)


def tensor(number: int, name: str, kind: int, dims: list[int], **fields: Any) -> dict[str, Any]:
    return {
        "call": "tensor",
        "id": number,
        "name": name,
        "type": kind,
        "format": 0,
        "dtype": qnn.FLOAT_32,
        "quantization": None,
        "dims": dims,
        "bytes": 0,
        **fields,
    }


def node(name: str, kind: str, inputs: list[int], outputs: list[int], params: Any = ()) -> Any:
    return {
        "call": "node",
        "name": name,
        "package": "qti.aisw",
        "type": kind,
        "params": list(params),
        "inputs": inputs,
        "outputs": outputs,
    }


def calls() -> list[dict[str, Any]]:
    return [
        {"call": "provider", "name": "HTP", "core": [2, 40, 0], "backend": [5, 51, 0]},
        {"call": "graph", "name": "g", "configs": []},
        tensor(1, "pixel_values", qnn.APP_WRITE, [2, 4]),
        tensor(2, "fc.weight", qnn.STATIC, [3, 4], bytes=48),
        tensor(3, "fc/bias", qnn.STATIC, [3], bytes=12),
        tensor(4, "fc.out", qnn.NATIVE, [2, 3]),
        node(
            "fc",
            "FullyConnected",
            [1, 2, 3],
            [4],
            [{"name": "keep_dims", "dtype": qnn.BOOL_8, "value": 0}],
        ),
        tensor(5, "perm", qnn.STATIC, [2], dtype=qnn.UINT_32, bytes=8),
        tensor(6, "last_hidden_state", qnn.APP_READ, [3, 2]),
        node("turn", "Transpose", [4], [6], [{"name": "perm", "tensor": 5}]),
        {"call": "finalize"},
    ]


def write(folder: Path, lines: list[dict[str, Any]] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines or calls())
    (folder / "calls.jsonl").write_text(text)
    for number, data in ((2, WEIGHT), (3, BIAS), (5, PERM)):
        (folder / f"{number}.raw").write_bytes(data.tobytes())
    return folder


def graph(folder: Path, lines: list[dict[str, Any]] | None = None) -> record.Graph:
    return record.load(write(folder, lines))


def tiny_fc(folder: Path) -> record.Graph:
    """The record of the golden model, whose weights are those of its own tests."""
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((16, 32)), random.standard_normal(16)
    lines = [
        {"call": "graph", "name": "tiny_fc", "configs": []},
        tensor(1, "x", qnn.APP_WRITE, [8, 32]),
        tensor(2, "fc.weight", qnn.STATIC, [16, 32], bytes=2048),
        tensor(3, "fc.bias", qnn.STATIC, [16], bytes=64),
        tensor(4, "fc_out", qnn.NATIVE, [8, 16]),
        node("fc", "FullyConnected", [1, 2, 3], [4], calls()[6]["params"]),
        tensor(5, "transpose_perm", qnn.STATIC, [2], dtype=qnn.UINT_32, bytes=8),
        tensor(6, "y", qnn.APP_READ, [16, 8]),
        node("transpose", "Transpose", [4], [6], [{"name": "perm", "tensor": 5}]),
        {"call": "finalize"},
    ]
    write(folder, lines)
    for number, data in ((2, weight), (3, bias)):
        (folder / f"{number}.raw").write_bytes(data.astype(np.float32).tobytes())
    return record.load(folder)
