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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization.observe import Extremes, Observer
from openqnn.refusal import UnfitSamples
from scripts.metrics import Features
from scripts.quantization.norms import RMS

# One in this many pictures is tried for its frailty, but no fewer than so many.
SHARE, LEAST = 6, 2
# Pictures that go through the network together.
BATCH = 256
# A norm on a centred stream may lose this of a cosine where it takes out no mean.
CENTRED = 1e-6
# The least power of a token: some are nought throughout.
TINY = 1e-30


@dataclass(frozen=True)
class Observed:
    """What a float network does with calibration pictures, and with others that judge.

    `extremes` are those of tensors over all of the former, `powers` the power of CLS as the last
    norm sees it, one a picture; a network without norms has none. `outputs` are those for pictures
    that may judge. The stream is `centred` if no norm would find a mean to take out.
    """

    pictures: Sequence[Path]
    extremes: Mapping[str, Extremes]
    powers: Sequence[float]
    outputs: Mapping[Path, Mapping[str, Features]] = field(default_factory=dict)
    centred: bool = True

    def frail(self, others: Collection[Path] = ()) -> list[Path]:
        """Return the pictures that 8 bits hurt most, worst first, without some others."""
        ranked = sorted(zip(self.powers, self.pictures, strict=False), key=lambda pair: pair[0])
        count = max(len(ranked) // SHARE, LEAST)
        return [picture for _, picture in ranked if picture not in others][:count]

    def joined(self, pictures: Sequence[Path]) -> dict[str, Features]:
        """Return the outputs for some pictures that may judge, [pictures, ...], by name."""
        rows = [self.outputs[picture] for picture in pictures]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def observed(
    network: Network,
    axes: Mapping[str, Sequence[int]],
    pictures: Sequence[Path],
    judging: Sequence[Path] = (),
) -> Observed:
    """Run a network once; `axes` says over which each tensor's extremes are.

    Pictures that judge and are not among the others count for no extremes.

    Raises:
        UnfitSamples: a value is NaN or infinite.
    """
    tally = _Tally(network, axes, pictures, judging)
    every = [*pictures, *(picture for picture in judging if picture not in pictures)]
    for first in range(0, len(every), BATCH):
        tally.add(every[first : first + BATCH])
    _require_finite(tally.extremes)
    powers = [tally.powers[picture] for picture in pictures if picture in tally.powers]
    return Observed(pictures, tally.extremes, powers, tally.outputs, tally.centred)


class _Tally:
    """What was observed up to now."""

    def __init__(
        self,
        network: Network,
        axes: Mapping[str, Sequence[int]],
        pictures: Sequence[Path],
        judging: Collection[Path],
    ) -> None:
        self.extremes: dict[str, Extremes] = {}
        self.powers: dict[Path, float] = {}
        self.outputs: dict[Path, dict[str, Features]] = {}
        self.centred = True
        self._network, self._axes = network, axes
        self._calibrating, self._judging = dict.fromkeys(pictures), judging
        self._kept = max(len(pictures) // SHARE, LEAST) + len(judging)
        self._norms = [node for node in network.graph.node if node.op_type in roles.NORMS]
        self._ends = [value.name for value in network.graph.output]
        self._observer = self._observing()

    def add(self, batch: Sequence[Path]) -> None:
        """Run some pictures through the network."""
        for place, values in enumerate(self._observer.run(batch, "ranges")):
            picture = batch[place % len(batch)]
            if picture in self._calibrating:
                self._widen(values)
            self._note_norms(picture, values)
            ends = {name: values[name] for name in self._ends if name in values}
            self.outputs.setdefault(picture, {}).update(ends)
        self._forget()

    def _observing(self) -> Observer:
        observer = Observer(self._network)
        for tensor, over in self._axes.items():
            observer.add_range(tensor, over)
        for tensor in dict.fromkeys([*(norm.input[0] for norm in self._norms), *self._ends]):
            observer.add_output(tensor)
        return observer

    def _widen(self, values: Mapping[str, NDArray[Any]]) -> None:
        for tensor in self._axes:
            if f"{tensor}:low" in values:
                own = Extremes(values[f"{tensor}:low"], values[f"{tensor}:high"])
                known = self.extremes.get(tensor, own)
                low, high = np.minimum(known.low, own.low), np.maximum(known.high, own.high)
                self.extremes[tensor] = Extremes(low, high)

    def _note_norms(self, picture: Path, values: Mapping[str, Features]) -> None:
        for norm in self._norms:
            if norm.input[0] in values:
                self.centred &= norm.op_type != RMS or _is_centred(values[norm.input[0]])
        if self._norms and self._norms[-1].input[0] in values:
            rows = values[self._norms[-1].input[0]]
            self.powers[picture] = _power(self._network, self._norms[-1], rows)

    def _forget(self) -> None:
        """Drop the outputs for pictures that are not going to judge."""
        # Of several with one power the first count, as in `Observed.frail`.
        known = [picture for picture in self._calibrating if picture in self.powers]
        ranked = sorted(known, key=lambda picture: self.powers[picture])
        keep = {*ranked[: self._kept], *self._judging}
        self.outputs = {name: ends for name, ends in self.outputs.items() if name in keep}


def _is_centred(values: Features) -> bool:
    """Tell whether rows [..., channels] have no mean: x and x - mean(x) have the same direction."""
    power = np.maximum(np.einsum("...i,...i->...", values, values) / values.shape[-1], TINY)
    return bool((values.mean(axis=-1, dtype=np.float64) ** 2 / power / 2 < CENTRED).all())


def _power(network: Network, norm: NodeProto, values: Features) -> float:
    """Return sum(g^2 x^2) of the first token, centred where the norm does that."""
    row = values.reshape(-1, values.shape[-1])[0].astype(np.float64)
    gains: NDArray[np.float64] = np.asarray(network.array(norm.input[1]), np.float64)
    centred = row - row.mean() if norm.op_type == "LayerNormalization" else row
    return float(((gains * centred) ** 2).sum())


def _require_finite(extremes: Mapping[str, Extremes]) -> None:
    for tensor, own in extremes.items():
        if not np.isfinite(own.magnitude).all():
            raise UnfitSamples(
                f"The network's tensor {tensor!r} is not finite on the calibration pictures.",
                cause="damaged weights, or float32 overflow",
                remedy="check the weights",
            )
