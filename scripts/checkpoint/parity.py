"""Compare an exported network with torch, on real pictures, one layer in memory at a time.

torch runs the network of `transformers` itself, and each module has weights only while it runs;
ONNX Runtime runs the exported file piece by piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from openqnn.network.onnx_network import Network
from openqnn.quantization import observe
from scripts import outputs
from scripts.checkpoint import dinov3
from scripts.checkpoint.taps import Head
from scripts.checkpoint.tensors import Weights, plain_name
from scripts.errors import ConversionError
from scripts.metrics import vectors
from scripts.outputs import USUAL, Output, Outputs

LARGEST_ERROR = 1e-3
LEAST_COSINE = 0.999999
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """How far ONNX Runtime is from torch: over all tokens, the worst of the pictures."""

    pictures: int
    cosine: float
    max_abs: float

    def require(self) -> None:
        """Refuse a network that computes something else than torch.

        Raises:
            ConversionError: the figures are out of bounds, or not finite.
        """
        if not (self.max_abs <= LARGEST_ERROR and self.cosine >= LEAST_COSINE):
            raise ConversionError(
                f"The exported network differs from torch: cosine {self.cosine:.7f} (at least "
                f"{LEAST_COSINE}), largest error {self.max_abs:.2e} (at most {LARGEST_ERROR}).",
                cause="other versions of torch, transformers or onnxruntime than the image's",
                remedy="run the pipeline in the image built from this commit",
            )

    def rounded(self) -> dict[str, float | int]:
        """Return figures that are equal on every machine: rounded, and bounds by powers of ten."""
        bound = 10.0 ** (round(log10(max(self.max_abs, 1e-12))) + 1)
        cosine = round(self.cosine, 6)
        return {"pictures": self.pictures, "cosine": cosine, "max_abs_at_most": bound}


@dataclass(frozen=True)
class Torch:
    """The network of `transformers`, to be run with weights read layer by layer."""

    config: DINOv3ViTConfig
    weights: Weights
    outputs: Outputs = USUAL
    heads: Mapping[str, Head] = field(default_factory=dict)

    def run(self, pictures: Sequence[Values]) -> dict[str, NDArray[np.float32]]:
        """Return its outputs by name, [pictures, ...] each."""
        network = self._lazy()
        layers: dict[int, Tensor] = {}
        for number in self.outputs.layers:
            hook = partial(_keep, layers=layers, number=number)
            network.get_submodule(_layer(network, number)).register_forward_hook(hook)
        with torch.no_grad():
            tokens = network(torch.from_numpy(np.concatenate(pictures))).last_hidden_state
            normed = {number: network.norm(value).numpy() for number, value in layers.items()}
        return {entry.name: self._output(entry, tokens.numpy(), normed) for entry in self.outputs}

    def _lazy(self) -> DINOv3ViTModel:
        """Return the network, each module of which has weights while it runs."""
        network = dinov3.skeleton(self.config)
        known = set(self.weights.names)
        for prefix, module in network.named_modules():
            own = [name for name, _ in module.named_parameters(recurse=False)]
            names = {name: plain_name(f"{prefix}.{name}") for name in own}
            names = {name: full for name, full in names.items() if full in known}
            if names:
                fill = partial(_fill, weights=self.weights, names=names)
                module.register_forward_pre_hook(fill)
                module.register_forward_hook(partial(_empty, names=names))
        return network

    def _output(
        self, entry: Output, tokens: Values, normed: Mapping[int, Values]
    ) -> NDArray[np.float32]:
        """Compute an output of all tokens [pictures, tokens, hidden] with NumPy."""
        registers, cls = self.config.num_register_tokens, tokens[:, 0]
        patches = normed.get(entry.layer, tokens)[:, 1 + registers :]
        if entry.name == outputs.PATCH_HEAD:
            patches = _linear(patches, self.heads[entry.name])
        if entry.name == outputs.HEAD:
            return _linear(cls, self.heads[entry.name])
        if entry.name in (outputs.TOKENS, outputs.CLS, outputs.PATCHES):
            return {outputs.TOKENS: tokens, outputs.CLS: cls}.get(entry.name, patches)
        return np.swapaxes(patches, 1, 2)


def compare(onnx_file: Path, network: Torch, pictures: Sequence[Values]) -> Parity:
    """Return the figures for pictures of [1, 3, height, width] each: the worst of any output."""
    # While one loads a layer, the other uses the processor.
    with ThreadPoolExecutor(2) as pool:
        by_torch = pool.submit(network.run, pictures)
        by_onnx = pool.submit(run_onnx, onnx_file, pictures)
        expected, actual = by_torch.result(), by_onnx.result()
    pairs = [
        (vectors(actual[name]), vectors(theirs.reshape(actual[name].shape)))
        for name, theirs in expected.items()
    ]
    cosine = min(_cosine(ours, theirs) for ours, theirs in pairs)
    errors = [np.abs(ours - theirs).max() for ours, theirs in pairs]
    return Parity(len(pictures), cosine, float(max(errors)))


def run_onnx(onnx_file: Path, pictures: Sequence[Values]) -> dict[str, NDArray[np.float32]]:
    """Return ONNX Runtime's outputs by name, [pictures, ...] each."""
    outputs = observe.outputs(Network.load(onnx_file), pictures, "ONNX Runtime")
    return {name: np.concatenate(values) for name, values in outputs.items()}


def _keep(
    module: nn.Module, _: Any, result: Any, *, layers: dict[int, Tensor], number: int
) -> None:
    layers[number] = result[0] if isinstance(result, tuple) else result


def _layer(network: DINOv3ViTModel, number: int) -> str:
    """Return the name of a layer's module, whose parents differ with transformers' release."""
    return next(name for name, _ in network.named_modules() if name.endswith(f"layer.{number}"))


def _linear(rows: Values, head: Head) -> NDArray[np.float32]:
    return np.asarray(rows @ head["weight"].T + head.get("bias", np.float32(0)))


def _fill(module: nn.Module, _: Any, weights: Weights, names: Mapping[str, str]) -> None:
    for own, full in names.items():
        value = nn.Parameter(torch.from_numpy(weights.read(full)), requires_grad=False)
        setattr(module, own, value)


def _empty(module: nn.Module, _: Any, __: Any, names: Mapping[str, str]) -> None:
    for own in names:
        value = nn.Parameter(getattr(module, own).to("meta"), requires_grad=False)
        setattr(module, own, value)


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the least cosine of any token's two vectors."""
    left, right = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return float(((left * right).sum(axis=-1) / lengths).min())
