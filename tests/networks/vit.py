"""DINOv3's graph in small, with random weights and without torch: as its exporter writes it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, PATCH, WIDTH, HEADS, HIDDEN, REGISTERS = 32, 8, 16, 2, 32, 4
PATCHES = (SIZE // PATCH) ** 2
TOKENS = 1 + REGISTERS + PATCHES
HEAD = WIDTH // HEADS
FORMS = ("matmul", "gemm", "conv")


class Writer:
    """Collects nodes and constants; every method returns the name of what it makes."""

    def __init__(self, seed: int, form: str, *, rms: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.form, self.rms = form, rms
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def weight(self, *shape: int, spread: float = 0.3, mean: float = 0.0) -> str:
        return self.constant((self.random.standard_normal(shape) * spread + mean).astype("f4"))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"{kind}{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def linear(self, x: str, inputs: int, outputs: int, *, bias: bool = True) -> str:
        """A linear layer on [1, TOKENS, inputs] in one of `FORMS`."""
        if self.form == "gemm":
            rows = self.op("Reshape", x, self.ints(TOKENS, inputs))
            product = self.op(
                "Gemm", rows, self.weight(outputs, inputs), self.weight(outputs), transB=1
            )
            return self.op("Reshape", product, self.ints(1, TOKENS, outputs))
        if self.form == "conv":
            columns = self.op("Transpose", x, perm=[0, 2, 1])
            image = self.op("Reshape", columns, self.ints(1, inputs, 1, TOKENS))
            product = self.op(
                "Conv", image, self.weight(outputs, inputs, 1, 1), self.weight(outputs)
            )
            flat = self.op("Reshape", product, self.ints(1, outputs, TOKENS))
            return self.op("Transpose", flat, perm=[0, 2, 1])
        product = self.op("MatMul", x, self.weight(inputs, outputs))
        return self.op("Add", product, self.weight(outputs)) if bias else product

    def norm(self, x: str) -> str:
        gamma, beta = self.weight(WIDTH, mean=1.0), self.weight(WIDTH)
        if self.rms:
            return self.op("RMSNormalization", x, gamma, axis=-1, epsilon=1e-5)
        return self.op("LayerNormalization", x, gamma, beta, axis=-1, epsilon=1e-5)

    def heads(self, x: str) -> str:
        rows = self.op("Reshape", x, self.ints(1, TOKENS, HEADS, HEAD))
        return self.op("Transpose", rows, perm=[0, 2, 1, 3])

    def rotate(self, x: str, cos: str, sin: str) -> str:
        prefix = self.op("Split", x, self.ints(1 + REGISTERS, PATCHES), outputs=2, axis=2)
        patches = prefix.replace("_0", "_1")
        axis = self.ints(3)
        first = self.op("Slice", patches, self.ints(0), self.ints(HEAD // 2), axis)
        second = self.op("Slice", patches, self.ints(HEAD // 2), self.ints(HEAD), axis)
        turned = self.op("Concat", self.op("Neg", second), first, axis=-1)
        rotated = self.op("Add", self.op("Mul", patches, cos), self.op("Mul", turned, sin))
        return self.op("Concat", prefix, rotated, axis=-2)

    def attention(self, x: str, cos: str, sin: str) -> str:
        query, value = (self.heads(self.linear(x, WIDTH, WIDTH)) for _ in range(2))
        key = self.heads(self.linear(x, WIDTH, WIDTH, bias=False))
        query, key = self.rotate(query, cos, sin), self.rotate(key, cos, sin)
        scores = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 3, 2]))
        scaled = self.op("Mul", scores, self.constant(np.array(HEAD**-0.5, np.float32)))
        mixed = self.op("MatMul", self.op("Softmax", scaled, axis=-1), value)
        rows = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", rows, self.ints(1, TOKENS, WIDTH)), WIDTH, WIDTH)

    def mlp(self, x: str, *, gated: bool) -> str:
        gate = self.linear(x, WIDTH, HIDDEN)
        if not gated:
            return self.linear(self.op("Gelu", gate), HIDDEN, WIDTH)
        silu = self.op("Mul", gate, self.op("Sigmoid", gate))
        return self.linear(self.op("Mul", silu, self.linear(x, WIDTH, HIDDEN)), HIDDEN, WIDTH)


def write(
    folder: Path,
    *,
    gated: bool = True,
    form: str = "matmul",
    rms: bool = False,
    layers: int = 2,
    seed: int = 0,
) -> Path:
    """Write `vit.onnx`: `pixel_values` [1,3,32,32] to `last_hidden_state` [1,21,16]."""
    to = Writer(seed, form, rms=rms)
    angles = to.random.uniform(-3, 3, (PATCHES, HEAD // 2))
    both = np.concatenate([angles, angles], axis=1)
    cos, sin = to.constant(np.cos(both).astype("f4")), to.constant(np.sin(both).astype("f4"))
    image = to.op(
        "Conv",
        "pixel_values",
        to.weight(WIDTH, 3, PATCH, PATCH, spread=0.1),
        to.weight(WIDTH),
        strides=[PATCH, PATCH],
    )
    flat = to.op("Reshape", image, to.ints(1, WIDTH, PATCHES))
    rows = to.op("Transpose", flat, perm=[0, 2, 1])
    x = to.op("Concat", to.weight(1, 1, WIDTH), to.weight(1, REGISTERS, WIDTH), rows, axis=1)
    for _ in range(layers):
        attended = to.op("Mul", to.attention(to.norm(x), cos, sin), to.weight(WIDTH, mean=0.5))
        x = to.op("Add", attended, x)
        mixed = to.op("Mul", to.mlp(to.norm(x), gated=gated), to.weight(WIDTH, mean=0.5))
        x = to.op("Add", mixed, x)
    to.norm(x)
    to.nodes[-1].output[0] = "last_hidden_state"
    graph = helper.make_graph(
        to.nodes,
        "vit",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, TOKENS, WIDTH])],
        to.constants,
    )
    opsets = [helper.make_opsetid("", 23 if rms else 21)]
    path = folder / "vit.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=11 if rms else 10), path)
    return path
