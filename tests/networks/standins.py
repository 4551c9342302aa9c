"""Stand-ins for real DINOv3 weights: networks with the outliers that these are known for.

Kind G is another form of the network that it is made from: a few channels of every inner
LayerNorm's output and, in a gated MLP, of the up-projection's are about `STRENGTH` times as large,
and what reads them divides. Kind M is another network: `MASSIVE` channels of its residual stream
stay at `HEIGHT` for every token (the DINOv3 paper's feature dimension outliers), under the outliers
of kind G. Both are told by structure, so any size will do: a dozen channels or ViT-S.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from openqnn.network.onnx_network import Network

STRENGTH, SPREAD, SHARE = 60.0, 1.5, 0.01
HEIGHT, MASSIVE = 40.0, 3
# The gain of a massive channel: it says the same of every picture, so no layer lets it through.
QUIET = 0.05


def kind_g(source: Path, out: Path, seed: int) -> Path:
    """Write the network of `source` with outliers of LayerNorm gains and up-projections."""
    return _written(source, out, seed, [_with_outliers])


def kind_m(source: Path, out: Path, seed: int) -> Path:
    """Write a network like that of `source` with massive channels, and kind G's outliers."""
    return _written(source, out, seed, [_with_massive_channels, _with_outliers])


KINDS: dict[str, Callable[[Path, Path, int], Path]] = {"G": kind_g, "M": kind_m}


class _Editor:
    """A network whose constants are changed in memory."""

    def __init__(self, source: Path, seed: int) -> None:
        self.network = Network.load(source)
        self.random = np.random.default_rng(seed)
        self.uses = self.network.consumers()
        self.producers = self.network.producers()

    def multiply(self, name: str, factors: np.ndarray) -> None:
        """Multiply a constant by factors that broadcast against it."""
        values = np.asarray(self.network.array(name)) * factors.astype(np.float32)
        self.network.constants[name].CopyFrom(numpy_helper.from_array(values, name))

    def add(self, name: str, terms: np.ndarray) -> None:
        """Add terms that broadcast against a constant."""
        values = np.asarray(self.network.array(name)) + terms.astype(np.float32)
        self.network.constants[name].CopyFrom(numpy_helper.from_array(values, name))

    def readers(self, tensor: str) -> list[NodeProto]:
        """Return what reads a tensor."""
        return [node for node, _ in self.uses[tensor]]

    def is_constant(self, name: str) -> bool:
        """Tell whether a tensor is a constant."""
        return name in self.network.constants


def _written(source: Path, out: Path, seed: int, changes: list[Callable[[_Editor], None]]) -> Path:
    editor = _Editor(source, seed)
    for change in changes:
        change(editor)
    # Of what was not changed, external data are still those of `source`.
    onnx.external_data_helper.load_external_data_for_model(editor.network.model, str(source.parent))
    onnx.save(
        editor.network.model, out, save_as_external_data=True, location=f"{out.stem}.onnx_data"
    )
    return out


def _factors(random: np.random.Generator, channels: int) -> np.ndarray:
    """Return factors of 1, for a few channels about `STRENGTH`."""
    factors = np.ones(channels)
    few = random.choice(channels, max(2, round(channels * SHARE)), replace=False)
    factors[few] = STRENGTH * np.exp(random.uniform(-1, 1, few.size) * np.log(SPREAD))
    return factors


def _with_outliers(editor: _Editor) -> None:
    norms = [node for node in editor.network.graph.node if node.op_type == "LayerNormalization"]
    for norm in norms[:-1]:
        gain, shift = norm.input[1:3]
        factors = _factors(editor.random, editor.network.constants[gain].dims[0])
        editor.multiply(gain, factors)
        editor.multiply(shift, factors)
        for reader in editor.readers(norm.output[0]):
            editor.multiply(reader.input[1], 1 / factors[:, None])
    for projection in _up_projections(editor):
        _scale_up(editor, projection)


def _up_projections(editor: _Editor) -> list[NodeProto]:
    """Return the linear layers with a bias that are multiplied by what is activated alone."""
    products = [
        node
        for node in editor.network.graph.node
        if node.op_type == "Mul" and not any(map(editor.is_constant, node.input))
    ]
    biased = [editor.producers[name] for node in products for name in node.input]
    return [
        node
        for node in biased
        if node.op_type == "Add"
        and editor.is_constant(node.input[1])
        and len(editor.uses[node.output[0]]) == 1
    ]


def _scale_up(editor: _Editor, biased: NodeProto) -> None:
    factors = _factors(editor.random, editor.network.constants[biased.input[1]].dims[0])
    editor.multiply(editor.producers[biased.input[0]].input[1], factors)
    editor.multiply(biased.input[1], factors)
    (product,) = editor.readers(biased.output[0])
    (down,) = editor.readers(product.output[0])
    editor.multiply(down.input[1], 1 / factors[:, None])


def _with_massive_channels(editor: _Editor) -> None:
    """Lift channels of all that starts the stream; other channels stay as large behind a norm."""
    nodes = editor.network.graph.node
    tokens = next(node for node in nodes if node.op_type == "Concat")
    convolution = next(node for node in nodes if node.op_type == "Conv")
    gains = [node.input[1] for node in nodes if node.op_type == "LayerNormalization"]
    width = editor.network.constants[gains[0]].dims[0]
    massive = editor.random.choice(width, MASSIVE, replace=False)
    signs = editor.random.choice([-1.0, 1.0], MASSIVE)
    terms, factors = np.zeros(width), np.full(width, HEIGHT * np.sqrt(MASSIVE / width))
    terms[massive], factors[massive] = signs * HEIGHT, QUIET
    for name in [convolution.input[2], *filter(editor.is_constant, tokens.input)]:
        editor.add(name, terms)
    for gain in gains:
        editor.multiply(gain, factors)
