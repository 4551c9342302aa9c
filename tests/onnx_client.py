"""A client that is not ours: stock ONNX Runtime with its QNN provider, in the HTP simulator.

It knows nothing of this project. As a program: MODEL INPUT FOLDER, three at a time; it writes each
output of the model for the raw input as FOLDER/<name>.raw.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import onnxruntime_qnn

TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
PROVIDER = "QNNExecutionProvider"


def session(model: Path) -> Any:
    """Return a session in which the QNN provider runs all of the model."""
    if PROVIDER not in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        onnxruntime.register_execution_provider_library(
            PROVIDER, onnxruntime_qnn.get_library_path()
        )
    devices = [row for row in onnxruntime.get_ep_devices() if row.ep_name == PROVIDER]
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    backend = Path(onnxruntime_qnn.__file__).with_name("libQnnHtp.so")
    options.add_provider_for_devices(devices[:1], {"backend_path": str(backend)})
    return onnxruntime.InferenceSession(model, sess_options=options)


def outputs(model: Path, raw: Path) -> dict[str, Any]:
    """Return the outputs of a model for one raw input, by name."""
    network = session(model)
    (taken,) = network.get_inputs()
    pixels = np.fromfile(raw, TYPES[taken.type]).reshape(taken.shape)
    names = [value.name for value in network.get_outputs()]
    return dict(zip(names, network.run(names, {taken.name: pixels}), strict=True))


def main(arguments: list[Path]) -> None:
    for model, raw, folder in zip(*[iter(arguments)] * 3, strict=True):
        folder.mkdir()
        for name, values in outputs(model, raw).items():
            values.tofile(folder / f"{name}.raw")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
