"""Stand-ins for real DINOv3 weights: networks with the outliers that these are known for.

Kind G is another form of the network that it is made from: a few channels of every inner
LayerNorm's output and, in a gated MLP, of the up-projection's are about `STRENGTH` times as large,
and what reads them divides. Kind M is another network: `MASSIVE` channels of its residual stream
stay at `HEIGHT` for every token (the DINOv3 paper's feature dimension outliers), under the outliers
of kind G. In kind R registers alone have them (the paper's high-norm tokens). Kind B is G as it
comes out of a file of bfloat16. All are told by structure, so any size will do: a dozen channels or
ViT-S. What is called `trained` has outliers that nobody put there: see `train.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from openqnn.network.onnx_network import Network
from scripts import catalog

STRENGTH, SPREAD, SHARE = 60.0, 1.5, 0.01
HEIGHT, MASSIVE = 40.0, 3
# Folder of the weights that `train.py` makes, beside the network, and its report there.
LEARNED, TRAINING = "learned", "training.json"
# The gain of a massive channel: it says the same of every picture, so no layer lets it through.
QUIET = 0.05


def kind_g(source: Path, out: Path, seed: int) -> Path:
    """Write the network of `source` with outliers of LayerNorm gains and up-projections."""
    return _written(source, out, seed, [_with_outliers])


def kind_m(
    source: Path, out: Path, seed: int, *, height: float = HEIGHT, channels: int = MASSIVE
) -> Path:
    """Write a network like that of `source` with massive channels, and kind G's outliers."""
    massive = partial(_with_massive_channels, height=height, channels=channels)
    return _written(source, out, seed, [massive, _with_outliers])


def kind_r(source: Path, out: Path, seed: int) -> Path:
    """Write a network like that of `source` with massive registers, and kind G's outliers."""
    return _written(source, out, seed, [_with_massive_registers, _with_outliers])


def kind_b(source: Path, out: Path, seed: int) -> Path:
    """Write kind G with all its constants rounded to bfloat16."""
    return _written(source, out, seed, [_with_outliers, _in_bfloat16])


@dataclass(frozen=True)
class StandIn:
    """A network of the catalog's `model`; `change` gives it outliers, None leaves it as it is.

    `weights` are what `export` takes, or `LEARNED`; `gated` says of which form its MLPs are, `form`
    what else is not as the catalog has it. Stand-ins of one `folder` share pictures there.
    """

    description: str
    change: Callable[[Path, Path, int], Path] | None = None
    gated: bool = False
    model: str = "vits16"
    weights: str = "random:5"
    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The folder of its pictures and network, in that of the measurements."""
        return "trained" if self.weights == LEARNED else self.model


SMALL = {"hidden_size": 192, "layers": 6, "heads": 3, "intermediate_size": 512}
ENLARGED_DIGITS = {"images": "digits", "image_size": 64, "calibration_images": 64}
DIGITS = partial(StandIn, gated=True, model="digits", weights="scripts/catalog/digits")
STANDINS = {
    "plain": StandIn("ViT-S, plain MLP"),
    "gated": StandIn("ViT-S, gated MLP", gated=True),
    "G": StandIn("gated, outliers of gains and up-projections", kind_g, gated=True),
    "B": StandIn("G, stored as bfloat16", kind_b, gated=True),
    "M": StandIn("plain MLP, outliers of gains, 3 channels at 40", kind_m),
    "M20": StandIn("M, 1 channel at 20", partial(kind_m, height=20.0, channels=1)),
    "M80": StandIn("M, 4 channels at 80", partial(kind_m, height=80.0, channels=4)),
    "R": StandIn("M, registers alone", kind_r),
    "digits": DIGITS("digits, trained"),
    "digits-G": DIGITS("digits, trained, with G's outliers", kind_g),
    "trained": StandIn(
        "outliers that grew in training",
        gated=True,
        weights=LEARNED,
        form={**SMALL, **ENLARGED_DIGITS, "verify_images": 100},
    ),
}


def model(name: str) -> catalog.Model:
    """Return the catalog's model in the form that a stand-in has."""
    standin = STANDINS[name]
    entry = catalog.models()[standin.model]
    return replace(entry, gated_mlp=standin.gated, **standin.form)


def source(folder: Path, name: str) -> Path:
    """Return where the network is that a stand-in is made from."""
    return folder / f"{'gated' if STANDINS[name].gated else 'plain'}.onnx"


def stored(folder: Path, name: str) -> Path:
    """Return where a stand-in is kept."""
    return folder / f"{name}.onnx" if STANDINS[name].change else source(folder, name)


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


def _with_massive_channels(editor: _Editor, height: float, channels: int) -> None:
    """Lift channels of all that starts the stream; other channels stay as large behind a norm."""
    terms = _massive(editor, height, channels)
    factors = np.where(terms == 0, height * np.sqrt(channels / terms.size), QUIET)
    convolution = next(node for node in editor.network.graph.node if node.op_type == "Conv")
    for name in [convolution.input[2], *_special_tokens(editor)]:
        editor.add(name, terms)
    for gain in _gains(editor):
        editor.multiply(gain, factors)


def _with_massive_registers(editor: _Editor) -> None:
    """Lift channels of the registers: behind a norm their others are small, as in a sink."""
    terms = _massive(editor, HEIGHT, MASSIVE)
    for name in _special_tokens(editor):
        if editor.network.constants[name].dims[1] > 1:
            editor.add(name, terms)
    for gain in _gains(editor):
        editor.multiply(gain, np.where(terms == 0, 1, QUIET))


def _massive(editor: _Editor, height: float, channels: int) -> np.ndarray:
    """Return what to add to the stream: a height of either sign in a few channels, else nought."""
    terms = np.zeros(editor.network.constants[_gains(editor)[0]].dims[0])
    massive = editor.random.choice(terms.size, channels, replace=False)
    terms[massive] = editor.random.choice([-1.0, 1.0], channels) * height
    return terms


def _gains(editor: _Editor) -> list[str]:
    nodes = editor.network.graph.node
    return [node.input[1] for node in nodes if node.op_type == "LayerNormalization"]


def _special_tokens(editor: _Editor) -> Iterator[str]:
    """Return the constants of CLS and the registers, [1, tokens, channels]."""
    tokens = next(node for node in editor.network.graph.node if node.op_type == "Concat")
    return filter(editor.is_constant, tokens.input)


def _in_bfloat16(editor: _Editor) -> None:
    """Round constants to the nearest bfloat16, halves to even: the upper 16 bits of a float32."""
    for name in filter(editor.network.is_float, [*editor.network.constants]):
        bits = np.array(editor.network.array(name), np.float32).view(np.uint32)
        upper = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        values = upper.astype(np.uint32).view(np.float32)
        editor.network.constants[name].CopyFrom(numpy_helper.from_array(values, name))
