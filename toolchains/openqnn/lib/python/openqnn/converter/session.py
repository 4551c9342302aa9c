"""Recording what the QNN execution provider builds of a model.

`record` starts this module as a program of its own: the provider and the recorder live and end
with that process, and so does all the memory that they take.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from openqnn import root
from openqnn.converter import record as records
from openqnn.converter import wholeness
from openqnn.network import pieces
from openqnn.network.onnx_network import Network
from openqnn.network.relay import EXTERNAL_DATA, PIECE
from openqnn.refusal import Refused

RECORDED = "6777"  # kRecorded in src/recorder/recorder.cpp
SOC_VARIABLE = "OPENQNN_SOC_MODEL"
SOC_MODEL = "77"
"""What nodes are validated for where the variable says nothing: QCS9100, which has v73."""


def record(model: Path, folder: Path) -> records.Graph:
    """Return the graph that the provider builds of `model`, noted in the empty `folder`.

    Raises:
        Refused: the model cannot be read, or has a node that the backend does not take.
    """
    soc = soc_model()
    environment = {
        **os.environ,
        "OPENQNN_BACKEND": str(root.host_library("libQnnHtp.so")),
        "OPENQNN_RECORD": str(folder),
        "PYTHONPATH": f"{root.path() / 'lib/python'}:{os.environ.get('PYTHONPATH', '')}",
    }
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(model)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(f"{model} cannot be translated for SoC {soc}: {_why(folder, done)}")
    graph = records.load(folder)
    wholeness.check(graph, model)
    return graph


def _why(folder: Path, done: subprocess.CompletedProcess[str]) -> str:
    if refused := records.refusals(folder):
        return wholeness.said(refused)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("recorder: ")] or lines[-1:]
    return " ".join(told) or f"exit code {done.returncode}."


def main(model: str) -> int:
    """Open sessions on the recorder and return 0 where the graph was recorded whole.

    Every piece of the model has a session of its own: what the provider takes for a graph grows
    with the square of its nodes, and it holds all of its weights.
    """
    import onnxruntime as ort
    import onnxruntime_qnn

    ort.register_execution_provider_library(
        "QNNExecutionProvider", onnxruntime_qnn.get_library_path()
    )
    network = Network.load(Path(model))
    extractor = pieces.Extractor(network)
    # Held, the recorder keeps one record from the first session to the last.
    ctypes.CDLL(str(root.host_library("recorder/libQnnHtp.so")))
    for piece in pieces.cut(network, PIECE):
        if refused := _refusal(extractor.model(piece).SerializeToString(), network.folder):
            print(refused, file=sys.stderr)
            return 1
    return 0


def _refusal(model: bytes, folder: Path) -> str:
    """Open a session on the recorder and return why it was not recorded, if it was not."""
    import onnxruntime as ort

    devices = [one for one in ort.get_ep_devices() if one.ep_name == "QNNExecutionProvider"]
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_session_config_entry(EXTERNAL_DATA, str(folder))
    options.add_provider_for_devices(devices[:1], provider_options())
    try:
        ort.InferenceSession(model, sess_options=options)
    except Exception as error:
        return "" if f"Code: {RECORDED}" in str(error) else str(error).replace("\n", " ")
    return "the execution provider left the model to the CPU"


def soc_model() -> str:
    """Return the SoC, by Qualcomm's number, that nodes are validated for.

    Raises:
        Refused: the environment gives something else.
    """
    said = os.environ.get(SOC_VARIABLE, SOC_MODEL)
    if not said.isdigit():
        raise Refused(f"{SOC_VARIABLE} must be Qualcomm's number of a SoC, not {said!r}.")
    return said


def provider_options() -> dict[str, str]:
    """Return the options that shape the graph; those of the compiler come with the context."""
    return {
        "backend_path": str(root.host_library("recorder/libQnnHtp.so")),
        "soc_model": soc_model(),
        "enable_htp_fp16_precision": "1",
        "offload_graph_io_quantization": "0",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
