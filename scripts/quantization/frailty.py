"""Which pictures 8 bits hurt most, told by the float network.

A grid is one for all pictures, so rounding adds noise of about the same power to each: a step s
adds s^2 / 12 a value. The residual stream carries it to the last norm, which divides CLS x [hidden]
by its root mean square and multiplies by gains g. So of CLS as that norm sees it

    1 - cosine = 1/2 * sum(g^2 noise^2) / sum(g^2 x^2),

the numerator being nearly the same for all pictures. The loss goes with 1 / sum(g^2 x^2): pictures
whose CLS leaves the last layer weak are the frail ones. The pass that measures ranges tells it, and
no trial is needed; a trial of 8 bits would not even tell where it loses nearly everything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization.observe import Extremes, Observer
from openqnn.refusal import UnfitSamples
from scripts.metrics import Features

# One in this many pictures is tried for its frailty, but no fewer than so many.
SHARE, LEAST = 6, 2


@dataclass(frozen=True)
class Observed:
    """What a float network does with some pictures.

    `extremes` are those of tensors over all pictures, `powers` the power of CLS as the last norm
    sees it, one a picture; a network without norms has none.
    """

    pictures: Sequence[Path]
    extremes: Mapping[str, Extremes]
    powers: Sequence[float]

    def frail(self, others: Collection[Path] = ()) -> list[Path]:
        """Return the pictures that 8 bits hurt most, worst first, without some others."""
        ranked = sorted(zip(self.powers, self.pictures, strict=False), key=lambda pair: pair[0])
        count = max(len(ranked) // SHARE, LEAST)
        return [picture for _, picture in ranked if picture not in others][:count]


def observed(
    network: Network, axes: Mapping[str, Sequence[int]], pictures: Sequence[Path]
) -> Observed:
    """Run a network once; `axes` says over which each tensor's extremes are.

    Raises:
        UnfitSamples: a value is NaN or infinite.
    """
    observer, norm = Observer(network), _last_norm(network)
    for tensor, over in axes.items():
        observer.add_range(tensor, over)
    if norm:
        observer.add_output(norm.input[0])
    extremes: dict[str, Extremes] = {}
    powers: list[float] = []
    for values in observer.run(pictures, "ranges"):
        for tensor in axes:
            if f"{tensor}:low" in values:
                own = Extremes(values[f"{tensor}:low"], values[f"{tensor}:high"])
                extremes[tensor] = _widened(extremes.get(tensor, own), own)
        if norm and norm.input[0] in values:
            powers.append(_power(network, norm, values[norm.input[0]]))
    _require_finite(extremes)
    return Observed(pictures, extremes, powers)


def _last_norm(network: Network) -> NodeProto | None:
    norms = [node for node in network.graph.node if node.op_type in roles.NORMS]
    return norms[-1] if norms else None


def _power(network: Network, norm: NodeProto, values: Features) -> float:
    """Return sum(g^2 x^2) of the first token, centred where the norm does that."""
    row = values.reshape(-1, values.shape[-1])[0].astype(np.float64)
    gains: NDArray[np.float64] = np.asarray(network.array(norm.input[1]), np.float64)
    centred = row - row.mean() if norm.op_type == "LayerNormalization" else row
    return float(((gains * centred) ** 2).sum())


def _widened(extremes: Extremes, own: Extremes) -> Extremes:
    return Extremes(np.minimum(extremes.low, own.low), np.maximum(extremes.high, own.high))


def _require_finite(extremes: Mapping[str, Extremes]) -> None:
    for tensor, own in extremes.items():
        if not np.isfinite(own.magnitude).all():
            raise UnfitSamples(
                f"The network's tensor {tensor!r} is not finite on the calibration pictures.",
                cause="damaged weights, or float32 overflow",
                remedy="check the weights",
            )
