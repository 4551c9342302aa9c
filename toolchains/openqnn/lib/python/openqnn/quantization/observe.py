"""Runs a float network over raw pictures and observes its activations inside the graph.

Each probe reduces a tensor where it is made, so what comes out is small and memory does not grow
with the number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from openqnn.network import pieces, samples
from openqnn.network.onnx_network import Network
from openqnn.network.pieces import Piece
from openqnn.network.relay import PIECE, Relay, Runner, opened
from openqnn.progress import track
from openqnn.refusal import UnfitSamples

# Values taken of one tensor and picture for a histogram, evenly spaced.
SAMPLE = 8192
BINS = 2048
# Pictures whose tensors wait between two pieces.
BATCH = 256


@dataclass(frozen=True)
class Range:
    """The least and the greatest value seen."""

    low: float
    high: float

    @property
    def magnitude(self) -> float:
        """Return the largest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Extremes:
    """The least and the greatest values seen, of a whole tensor or channel by channel."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @property
    def magnitude(self) -> NDArray[np.float32]:
        """Return the largest absolute values."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def scaled(self, factors: NDArray[np.float64]) -> Extremes:
        """Return the extremes after every channel was multiplied by its positive factor."""
        low, high = (side * factors.reshape(side.shape) for side in (self.low, self.high))
        return Extremes(low.astype(np.float32), high.astype(np.float32))

    def range(self) -> Range:
        """Return the range of the whole tensor."""
        return Range(float(self.low.min()), float(self.high.max()))


@dataclass(frozen=True)
class Probe:
    """What reduces one tensor to the small one that is observed, `output`."""

    output: str
    nodes: Sequence[NodeProto] = ()
    constants: Sequence[TensorProto] = ()


class Observer:
    """A network with probes; `run` yields each probe's values by its name."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._probes: dict[str, list[Probe]] = {}

    def add_range(self, tensor: str, axes: Sequence[int] = ()) -> None:
        """Observe `<tensor>:low` and `<tensor>:high` over some axes, or over all."""
        constants = [_integers(f"{tensor}:axes", axes)] if axes else []
        inputs = [tensor, *(one.name for one in constants)]
        for kind, operator in (("low", "ReduceMin"), ("high", "ReduceMax")):
            output = f"{tensor}:{kind}"
            node = helper.make_node(operator, inputs, [output], keepdims=0)
            self._add(tensor, Probe(output, [node], constants))

    def add_sample(self, tensor: str, size: int) -> None:
        """Observe `<tensor>:sample`, about `SAMPLE` of its `size` values, evenly spaced."""
        flat, output = f"{tensor}:flat", f"{tensor}:sample"
        step = max(1, size // SAMPLE) | 1  # odd, so that it meets every channel
        bounds = [("from", 0), ("to", size), ("axis", 0), ("step", step)]
        constants = [_integers(f"{tensor}:{key}", [value]) for key, value in bounds]
        every = _integers(f"{tensor}:all", [-1])
        nodes = [
            helper.make_node("Reshape", [tensor, every.name], [flat]),
            helper.make_node("Slice", [flat, *(one.name for one in constants)], [output]),
        ]
        self._add(tensor, Probe(output, nodes, [every, *constants]))

    def add_output(self, tensor: str) -> None:
        """Observe the whole of `<tensor>`."""
        self._add(tensor, Probe(tensor))

    def run(
        self, inputs: Sequence[NDArray[np.float32] | Path], what: str
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the values of some probes for one picture at a time; it may be a raw file.

        Every piece of the network runs over all pictures, or over a batch of them.
        """
        extractor = pieces.Extractor(self._network)
        cut = pieces.cut(self._network, PIECE)
        steps = iter(track(range(len(cut) * len(inputs)), what))
        for first in range(0, len(inputs), BATCH):
            relay = Relay([self._tensor(one) for one in inputs[first : first + BATCH]])
            openers = [partial(self._runner, extractor, piece) for piece in cut]
            for piece, runner in zip(cut, opened(openers), strict=True):
                probes = self._of(piece)
                for seen in relay.through(runner):
                    next(steps)
                    yield {one.output: seen[one.output] for one in probes}

    def collect(
        self, inputs: Sequence[NDArray[np.float32] | Path], what: str
    ) -> dict[str, list[NDArray[Any]]]:
        """Return each probe's values, one a picture."""
        found: dict[str, list[NDArray[Any]]] = {}
        for seen in self.run(inputs, what):
            for name, value in seen.items():
                found.setdefault(name, []).append(value)
        return found

    def _add(self, tensor: str, probe: Probe) -> None:
        self._probes.setdefault(tensor, []).append(probe)

    def _of(self, piece: Piece) -> list[Probe]:
        """Return the probes of what a piece computes, and of the network's input in the first."""
        made = [name for node in piece.nodes for name in node.output]
        if piece.source == self._network.graph.input[0].name:
            made.append(piece.source)
        return [probe for name in made for probe in self._probes.get(name, ())]

    def _runner(self, extractor: pieces.Extractor, piece: Piece) -> Runner:
        model = _observed(extractor.model(piece), self._of(piece))
        return Runner(piece, model, self._network.folder)

    def _tensor(self, item: NDArray[Any] | Path) -> NDArray[Any]:
        return samples.read(item, self._network) if isinstance(item, Path) else item


def _observed(model: onnx.ModelProto, probes: Sequence[Probe]) -> onnx.ModelProto:
    """Return a model with probes among its outputs."""
    # Outputs are computed last first: in this order a tensor is reduced before it is replaced.
    for probe in reversed(probes):
        model.graph.node.extend(probe.nodes)
    constants = {one.name: one for probe in probes for one in probe.constants}
    model.graph.initializer.extend(constants.values())
    known = {value.name for value in model.graph.output}
    outputs = [one.output for one in probes if one.output not in known]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return model


def _integers(name: str, values: Sequence[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def outputs(
    network: Network, inputs: Sequence[NDArray[Any] | Path], what: str
) -> dict[str, list[NDArray[np.float32]]]:
    """Return a network's outputs by name, one tensor a picture."""
    observer, names = Observer(network), [value.name for value in network.graph.output]
    for name in names:
        observer.add_output(name)
    values = observer.collect(inputs, what)
    return {name: values[name] for name in names}


def extremes(
    network: Network, axes: Mapping[str, Sequence[int]], pictures: Sequence[Path]
) -> dict[str, Extremes]:
    """Return the extremes of every tensor in `axes`, over those axes and all pictures.

    Raises:
        UnfitSamples: a value is NaN or infinite.
    """
    observer = Observer(network)
    for tensor, over in axes.items():
        observer.add_range(tensor, over)
    found: dict[str, Extremes] = {}
    for seen in observer.run(pictures, "ranges"):
        for tensor in {name.rpartition(":")[0] for name in seen}:
            now = Extremes(seen[f"{tensor}:low"], seen[f"{tensor}:high"])
            then = found.get(tensor, now)
            found[tensor] = Extremes(np.minimum(then.low, now.low), np.maximum(then.high, now.high))
    bad = [tensor for tensor, one in found.items() if not np.isfinite(one.magnitude).all()]
    if bad:
        raise UnfitSamples(
            f"The network's tensor {bad[0]!r} is not finite on the calibration pictures.",
            cause="damaged weights, or float32 overflow",
            remedy="check the weights",
        )
    return found


@dataclass
class Histogram:
    """Counts of a tensor's values in `BINS` equal bins over its range."""

    limits: Range
    counts: NDArray[np.int64]

    @property
    def edges(self) -> NDArray[np.float64]:
        """Return the `BINS` + 1 borders of the bins."""
        return np.linspace(self.limits.low, self.limits.high, self.counts.size + 1)


def histograms(
    network: Network, limits: dict[str, Range], pictures: Sequence[Path]
) -> dict[str, Histogram]:
    """Return a histogram of samples of every tensor in `limits`."""
    shapes = network.shapes()
    observer = Observer(network)
    made = {name: Histogram(one, np.zeros(BINS, np.int64)) for name, one in limits.items()}
    for tensor in made:
        observer.add_sample(tensor, int(np.prod(shapes[tensor])))
    for seen in observer.run(pictures, "histograms"):
        for name, sample in seen.items():
            histogram = made[name.rpartition(":")[0]]
            low, high = histogram.limits.low, histogram.limits.high
            if high > low:
                histogram.counts += np.histogram(sample, BINS, (low, high))[0]
    return made
