"""How large a network's activations are: what float16 has to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openqnn.network.onnx_network import Network
from openqnn.quantization.observe import Observer
from scripts.errors import GateError
from scripts.metrics import FP16_MAX
from scripts.words import counted

# The percentile of a picture's magnitudes that tells what is usual.
USUAL = 99.9


@dataclass(frozen=True)
class Magnitude:
    """The largest magnitude on any picture, and the largest 99.9th percentile of one picture."""

    largest: float = 0.0
    usual: float = 0.0

    def widened(self, low: float, high: float, sample: np.ndarray) -> Magnitude:
        """Return the magnitudes with those of one more picture."""
        rank = int(sample.size * USUAL / 100)
        usual = float(np.partition(np.abs(sample), rank)[rank])
        largest = float(np.max([self.largest, -low, high]))  # NaN stays NaN
        return Magnitude(largest, max(self.usual, usual))


def measure(network: Network, pictures: Sequence[Path]) -> dict[str, Magnitude]:
    """Return the magnitudes of all computed activations, in the order of the network."""
    shapes, observer = network.shapes(), Observer(network)
    found = {name: Magnitude() for name in network.float_tensors()}
    for name in found:
        observer.add_range(name)
        observer.add_sample(name, int(np.prod(shapes[name])))
    for seen in observer.run(pictures, "ranges"):
        for name in {key.rpartition(":")[0] for key in seen}:
            low, high, sample = (seen[f"{name}:{key}"] for key in ("low", "high", "sample"))
            found[name] = found[name].widened(float(low), float(high), sample)
    return found


def require_float16(found: Mapping[str, Magnitude]) -> None:
    """Hold magnitudes against float16.

    Raises:
        GateError: an activation is beyond its largest number, or not finite.
    """
    beyond = [name for name, one in found.items() if not one.largest <= FP16_MAX]
    if beyond:
        first = found[beyond[0]]
        raise GateError(
            f"{counted(len(beyond), 'activation')} beyond float16, first {beyond[0]}: it reaches "
            f"{first.largest:.4g} (99.9 % of a picture's values are below {first.usual:.4g}), "
            f"float16 ends at {FP16_MAX:.0f}.",
            cause="massive activations, which large vision transformers have",
            remedy="build --precision w8a16 or int8, whose activations have scales of their own",
        )
