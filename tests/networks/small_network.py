"""A network of two heads' worth of operators, with DINOv3's input and output names."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, PATCH, WIDTH, TOKENS = 16, 8, 8, 5


def write(folder: Path, seed: int = 0) -> Path:
    """Write `network.onnx`: patches, CLS, LayerNorm, attention, a residual; weights inline."""
    random = np.random.default_rng(seed)
    constants: list[TensorProto] = []

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(name: str, *shape: int) -> str:
        return constant(name, random.standard_normal(shape).astype(np.float32) / 3)

    nodes = [
        helper.make_node(
            "Conv",
            [
                "pixel_values",
                weight("patch.weight", WIDTH, 3, PATCH, PATCH),
                weight("patch.bias", 8),
            ],
            ["patches"],
            strides=[PATCH, PATCH],
        ),
        helper.make_node("Reshape", ["patches", constant("to_3d", np.array([1, 8, 4]))], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["rows"], perm=[0, 2, 1]),
        helper.make_node("Concat", [weight("cls", 1, 1, WIDTH), "rows"], ["tokens"], axis=1),
        helper.make_node(
            "LayerNormalization",
            ["tokens", weight("norm.weight", 8), weight("norm.bias", 8)],
            ["normed"],
            axis=-1,
        ),
        helper.make_node("MatMul", ["normed", weight("query.weight", 8, 8)], ["query"]),
        helper.make_node("MatMul", ["normed", weight("key.weight", 8, 8)], ["key"]),
        helper.make_node("Transpose", ["key"], ["key_t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["query", "key_t"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "normed"], ["mixed"]),
        helper.make_node("Add", ["mixed", weight("out.bias", 8)], ["biased"]),
        helper.make_node("Add", ["biased", "tokens"], ["last_hidden_state"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, TOKENS, WIDTH])],
        constants,
    )
    path = folder / "network.onnx"
    opsets = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def write_raws(folder: Path, count: int = 4) -> Path:
    """Write an image set of random raws with its `input_list.txt`."""
    folder.mkdir()
    random = np.random.default_rng(1)
    names = [f"{index:06d}.raw" for index in range(count)]
    for name in names:
        random.standard_normal((1, 3, SIZE, SIZE), np.float32).tofile(folder / name)
    lines = [f"/build/calibration/set/{name}\n" for name in names]
    (folder / "input_list.txt").write_text("".join(lines))
    return folder
