"""Compare an exported network with torch, on real pictures, one layer in memory at a time.

torch runs the network of `transformers` itself, and each module has weights only while it runs;
ONNX Runtime runs the exported file piece by piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import DINOv3ViTConfig

from openqnn.network.onnx_network import Network
from openqnn.quantization import observe
from scripts.checkpoint import dinov3
from scripts.checkpoint.files import Weights, plain_name
from scripts.errors import ConversionError

LARGEST_ERROR = 1e-3
LEAST_COSINE = 0.999999
Pixels = NDArray[np.float32]


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


def compare(
    onnx_file: Path, config: DINOv3ViTConfig, weights: Weights, pictures: Sequence[Pixels]
) -> Parity:
    """Return the figures for pictures of [1, 3, size, size] each."""
    # While one loads a layer, the other uses the processor.
    with ThreadPoolExecutor(2) as pool:
        by_torch = pool.submit(run_torch, config, weights, pictures)
        by_onnx = pool.submit(run_onnx, onnx_file, pictures)
        expected, actual = by_torch.result(), by_onnx.result()
    cosine = min(_cosine(ours, theirs) for ours, theirs in zip(actual, expected, strict=True))
    errors = [np.abs(ours - theirs).max() for ours, theirs in zip(actual, expected, strict=True)]
    return Parity(len(pictures), cosine, float(max(errors)))


def run_torch(
    config: DINOv3ViTConfig, weights: Weights, pictures: Sequence[Pixels]
) -> list[NDArray[np.float32]]:
    """Return torch's `last_hidden_state` of every picture, [1, tokens, hidden] each."""
    network = dinov3.skeleton(config)
    known = set(weights.names)
    for prefix, module in network.named_modules():
        own = [name for name, _ in module.named_parameters(recurse=False)]
        names = {name: plain_name(f"{prefix}.{name}") for name in own}
        names = {name: full for name, full in names.items() if full in known}
        if names:
            module.register_forward_pre_hook(partial(_fill, weights=weights, names=names))
            module.register_forward_hook(partial(_empty, names=names))
    with torch.no_grad():
        pixels = torch.from_numpy(np.concatenate(pictures))
        return list(network(pixels).last_hidden_state.numpy()[:, None])


def run_onnx(onnx_file: Path, pictures: Sequence[Pixels]) -> list[NDArray[np.float32]]:
    """Return ONNX Runtime's `last_hidden_state` of every picture, [1, tokens, hidden] each."""
    return observe.outputs(Network.load(onnx_file), pictures, "ONNX Runtime")


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
