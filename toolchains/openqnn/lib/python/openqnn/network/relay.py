"""Runs a network on the CPU piece by piece, each piece over all pictures before the next one opens.

Pictures go side by side, one a core, and every operator has one thread: what comes out does not
depend on how many cores there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from openqnn.network.pieces import Piece

Values = dict[str, NDArray[Any]]
# Nodes that a session holds at least.
PIECE = 100
# ONNX Runtime's option for where a model's external data are.
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
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, value: NDArray[Any], given: Mapping[str, NDArray[Any]]) -> Values:
        """Return the outputs; `given` has values of other inputs than the source."""
        feeds = {name: given[name] for name in self._reads if name in given}
        values = self._session.run(self._names, {self._source: value, **feeds})
        return dict(zip(self._names, values, strict=True))


class Relay:
    """Pictures on their way through a network's pieces."""

    def __init__(
        self, pictures: Sequence[NDArray[Any]], given: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        self._values = list(pictures)
        self._given = given or {}

    def through(self, runner: Runner) -> Iterator[Values]:
        """Run the next piece, and yield its outputs picture by picture."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda value: runner(value, self._given), self._values)
            for index, seen in enumerate(found):
                self._values[index] = seen[runner.result]
                yield seen

    @property
    def values(self) -> Sequence[NDArray[Any]]:
        """What the last piece made, a picture each."""
        return self._values


def _options() -> Any:
    """Return options of sessions that open quickly and compute operator by operator."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # An arena keeps what a piece once took, and a trial has all pieces open at the same time.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    # Fusing would round where the HTP does not.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options
