"""Runs a float network over raw pictures and observes its activations inside the graph.

Each probe reduces a tensor where it is made, so what comes out is small and memory does not grow
with the number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from scripts.errors import CalibrationError
from scripts.stages.onnx_network import Network
from scripts.stages.picture_input import PictureInput
from scripts.stages.progress import track

# Values taken of one tensor and picture for a histogram, evenly spaced.
SAMPLE = 8192
BINS = 2048
FP16_MAX = 65504.0


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


def raws(set_dir: Path, suffix: str = ".raw") -> list[Path]:
    """Return the files of an image set, of one kind, in the order of its `input_list.txt`.

    Raises:
        CalibrationError: the set is missing, empty, or lacks a file.
    """
    listing = set_dir / "input_list.txt"
    if not listing.is_file():
        raise CalibrationError(f"There is no {listing}.", remedy="run `invoke calibrate`")
    files = [set_dir / Path(line).with_suffix(suffix).name for line in listing.read_text().split()]
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        raise CalibrationError(
            f"{listing} names {len(files)} files, of which {len(missing)} are missing.",
            remedy="run `invoke calibrate` again",
        )
    return files


def cpu_options() -> Any:
    """Return session options of ONNX Runtime that keep a large network small, and quick to open."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Rewriting ten thousand nodes takes minutes, and fusing would round where the HTP does not.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Activations go back at once, and weights stay mapped files instead of packed copies.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


class Observer:
    """A network with probes; `run` yields, for every picture, each probe's value by its name."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._probes: list[list[NodeProto]] = []
        self._constants: list[TensorProto] = []
        self._outputs: list[str] = []

    def add_range(self, tensor: str, axes: Sequence[int] = ()) -> None:
        """Observe `<tensor>:low` and `<tensor>:high` over some axes, or over all."""
        inputs = [tensor, *([self._integers(f"{tensor}:axes", axes)] if axes else [])]
        for kind, operator in (("low", "ReduceMin"), ("high", "ReduceMax")):
            self._probe([(operator, inputs)], f"{tensor}:{kind}", keepdims=0)

    def add_sample(self, tensor: str, size: int) -> None:
        """Observe `<tensor>:sample`, about `SAMPLE` of its `size` values, evenly spaced."""
        flat = f"{tensor}:flat"
        step = max(1, size // SAMPLE) | 1  # odd, so that it meets every channel
        bounds = [("from", 0), ("to", size), ("axis", 0), ("step", step)]
        names = [self._integers(f"{tensor}:{key}", [value]) for key, value in bounds]
        minus_one = self._integers(f"{tensor}:all", [-1])
        steps = [("Reshape", [tensor, minus_one]), ("Slice", [flat, *names])]
        self._probe(steps, f"{tensor}:sample")

    def add_output(self, tensor: str) -> None:
        """Observe the whole of `<tensor>`."""
        self._outputs.append(tensor)

    def run(
        self, inputs: Sequence[NDArray[np.float32] | Path], what: str
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the probes' values, picture by picture; an input may be a raw file."""
        session = self._session()
        source = PictureInput.of(self._network)
        for item in track(inputs, what):
            picture = source.read(item) if isinstance(item, Path) else item
            values = session.run(self._outputs, {source.name: picture})
            yield dict(zip(self._outputs, values, strict=True))

    def _session(self) -> Any:
        import onnxruntime

        model = onnx.ModelProto()
        model.CopyFrom(self._network.model)
        # Outputs are computed last first: in this order a tensor is reduced before it is replaced.
        for probe in reversed(self._probes):
            model.graph.node.extend(probe)
        model.graph.initializer.extend(self._constants)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._outputs)
        options = cpu_options()
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self._network.folder)
        )
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def _probe(self, steps: list[tuple[str, list[str]]], output: str, **attributes: Any) -> None:
        """Add operators of which each but the last writes what the next one reads first."""
        ends = [inputs[0] for _, inputs in steps[1:]] + [output]
        nodes = [
            helper.make_node(operator, inputs, [end], **attributes)
            for (operator, inputs), end in zip(steps, ends, strict=True)
        ]
        self._probes.append(nodes)
        self._outputs.append(output)

    def _integers(self, name: str, values: Sequence[int]) -> str:
        array = np.array(values, np.int64)
        self._constants.append(numpy_helper.from_array(array, name))
        return name


def extremes(
    network: Network, axes: Mapping[str, Sequence[int]], pictures: Sequence[Path]
) -> dict[str, Extremes]:
    """Return the extremes of every tensor in `axes`, over those axes and all pictures.

    Raises:
        CalibrationError: a value is NaN or infinite.
    """
    observer = Observer(network)
    for tensor, over in axes.items():
        observer.add_range(tensor, over)
    found: dict[str, Extremes] = {}
    for seen in observer.run(pictures, "ranges"):
        for tensor in axes:
            now = Extremes(seen[f"{tensor}:low"], seen[f"{tensor}:high"])
            then = found.get(tensor, now)
            found[tensor] = Extremes(np.minimum(then.low, now.low), np.maximum(then.high, now.high))
    bad = [tensor for tensor, one in found.items() if not np.isfinite(one.magnitude).all()]
    if bad:
        raise CalibrationError(
            f"The network's tensor {bad[0]!r} is not finite on the calibration pictures.",
            cause="damaged weights, or float32 overflow",
            remedy="check the weights: `invoke export` compares them with torch",
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
        for tensor, histogram in made.items():
            low, high = histogram.limits.low, histogram.limits.high
            if high > low:
                sample = seen[f"{tensor}:sample"]
                histogram.counts += np.histogram(sample, BINS, (low, high))[0]
    return made
