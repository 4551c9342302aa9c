"""Runs a network on the CPU piece by piece: all pictures through a piece, then the next piece.

A network f is cut into pieces, f = p_n(... p_1(x)), that one tensor connects (`pieces`). For
pictures x_1 ... x_m the usual order is a loop over pictures around a loop over pieces. The relay
swaps the loops: it has the values v_j, first x_j [1, 3, height, width], and for each piece replaces
every v_j by p_i(v_j), mostly tokens [tokens, width]. The result f(x_j) is the same, since no
picture's value depends on another's. A caller that opens each piece when its turn comes, as
calibration does (`opened`), holds two pieces and m values in memory, and opens each piece once.

The bytes do not depend on the number of cores. A core computes whole pictures, every operator runs
with one thread, so its order of summation is fixed; and results come in the order of the pictures.
Nothing is fused (`_options`), so every value is rounded as the single operator rounds it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from openqnn.network.pieces import Piece

Values = dict[str, NDArray[Any]]
# The least number of nodes in a session.
PIECE = 100
# ONNX Runtime has these in a domain of its own as well: in every release and for every opset, where
# 1.23, the last one for Python 3.10, lacks those of opset 23.
QUANTISING = ("QuantizeLinear", "DequantizeLinear")
DOMAIN = "com.microsoft"
# ONNX Runtime's option with the folder of a model's external data.
EXTERNAL_DATA = "session.model_external_initializers_file_folder_path"


class Runner:
    """An open session of one piece."""

    def __init__(self, piece: Piece, model: onnx.ModelProto, folder: Path) -> None:
        """Open a session; `folder` has the model's external data."""
        import onnxruntime

        self.result = piece.result
        self._source = piece.source
        self._reads = {value.name for value in model.graph.input}
        self._names = [value.name for value in model.graph.output]
        options = _options()
        options.add_session_config_entry(EXTERNAL_DATA, str(folder))
        self._session = onnxruntime.InferenceSession(
            _runnable(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, value: NDArray[Any], others: Mapping[str, NDArray[Any]]) -> Values:
        """Return the outputs for a value of the source; `others` are values of other inputs."""
        feeds = {name: others[name] for name in self._reads if name in others}
        values = self._session.run(self._names, {self._source: value, **feeds})
        return dict(zip(self._names, values, strict=True))


class Relay:
    """The values of all pictures between two pieces of a network."""

    def __init__(
        self, pictures: Sequence[NDArray[Any]], others: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        self._values = list(pictures)
        self._others = others or {}

    def through(self, runner: Runner) -> Iterator[Values]:
        """Run the next piece, and yield its outputs picture by picture."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda value: runner(value, self._others), self._values)
            for index, outputs in enumerate(results):
                self._values[index] = outputs[runner.result]
                yield outputs

    @property
    def values(self) -> Sequence[NDArray[Any]]:
        """The last piece's result, one a picture."""
        return self._values


def opened(openers: Iterable[Callable[[], Runner]]) -> Iterator[Runner]:
    """Yield open sessions in turn; while one is used, the next is opened."""
    with ThreadPoolExecutor(1) as pool:
        ready: deque[Future[Runner]] = deque()
        for opener in openers:
            ready.append(pool.submit(opener))
            if len(ready) > 1:
                yield ready.popleft().result()
        if ready:
            yield ready.popleft().result()


def _runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the quantising operators of the runtime's own domain."""
    runnable = onnx.ModelProto()
    runnable.CopyFrom(model)
    for node in runnable.graph.node:
        if node.op_type in QUANTISING:
            node.domain = DOMAIN
    if all(version.domain != DOMAIN for version in runnable.opset_import):
        runnable.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    return runnable


def _options() -> Any:
    """Return options of sessions that open quickly and compute operator by operator."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # An arena does not give memory back, and a trial has all pieces open at the same time.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    # Fusing would round where the HTP does not.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options
