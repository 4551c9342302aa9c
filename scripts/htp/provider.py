"""Compiles an ONNX file into a plain serialized HTP context binary, with the same bytes every time.

It uses ONNX Runtime's QNN execution provider, without openqnn: for measurements and comparisons,
not for a stage of a build. `compile_context` starts this module again, as a small
process with a fixed environment. Facts: onnxruntime-qnn 2.7.0, with QAIRT 2.51.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

import openqnn
from scripts.errors import CompileError
from scripts.htp import timeline
from scripts.htp.timeline import Timeline

PROVIDER = "QNNExecutionProvider"

# The compiler writes uninitialised memory into padding: without the allocator's cache and with
# `perturb` fresh memory reads as zeros, and without address randomisation pointers are the same.
REPEATABLE = "glibc.malloc.tcache_count=0:glibc.malloc.perturb=255:glibc.malloc.arena_max=1"
# Files have fixed names during a compile, so that no folder's name gets into the binary.
MODEL, WEIGHTS = "network.onnx", "weights"
WRAPPER, CONTEXT, TRACE = "context.onnx", "context_qnn.bin", "profile.csv"
# With a timeline the compiler also leaves these.
LOG, SCHEMATIC = "profile_qnn.log", "*_schematic.bin"
LAST_LINES = 12


@dataclass(frozen=True)
class Settings:
    """What to compile for: Qualcomm's SoC number, VTCM in MB, float16 for unquantised tensors.

    `trace` asks for the compiler's timeline as well (optrace).
    """

    soc_model: int
    vtcm_mb: int
    fp16: bool
    optimization: int = 3
    trace: bool = False

    def options(self) -> dict[str, str]:
        """Return the provider's options."""
        return {
            "soc_model": str(self.soc_model),
            "vtcm_mb": str(self.vtcm_mb),
            "enable_htp_fp16_precision": str(int(self.fp16)),
            "htp_graph_finalization_optimization_mode": str(self.optimization),
            "offload_graph_io_quantization": "0",
            "profiling_level": "optrace" if self.trace else "detailed",
        }


def compile_context(model: Path, out: Path, scratch: Path, settings: Settings) -> None:
    """Compile an ONNX file into the context binary `out`; `scratch` is an empty folder.

    The compiler runs in a process of its own, always started the same way: same bytes every time.
    It leaves its profile in `scratch`, as `TRACE`.

    Raises:
        CompileError: the compiler refuses the graph, or leaves a part of it to the CPU.
    """
    _link(scratch / MODEL, model)
    _link(scratch / WEIGHTS, model.parent)
    _run_child(scratch, [f"{key}={value}" for key, value in settings.options().items()])
    require_one_node(scratch / WRAPPER)
    shutil.move(scratch / CONTEXT, out)


def timeline_of(scratch: Path) -> Timeline:
    """Return the timeline that a compile with `trace` left in its `scratch`."""
    (schematic,) = scratch.glob(SCHEMATIC)
    return timeline.read(scratch / LOG, schematic)


def _run_child(scratch: Path, options: list[str]) -> None:
    """Run the compiler in a process without address randomisation and with a fixed environment."""
    folders = Path(__file__).resolve().parents[2], Path(openqnn.__file__).parents[1]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GLIBC_TUNABLES": REPEATABLE,
        "OPENBLAS_NUM_THREADS": "1",
    }
    child = [sys.executable, "-m", "scripts.htp.provider", *options]
    done = subprocess.run(
        ["setarch", "--addr-no-randomize", *child],
        cwd=scratch,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise CompileError(
            "\n".join([f"The HTP compiler ended with {done.returncode}.", *lines[-LAST_LINES:]]),
            cause="an operator, data type or shape that the HTP does not take, or a container "
            "whose seccomp profile forbids personality(ADDR_NO_RANDOMIZE)",
            remedy="try --precision fp16; see the compiler's output above",
        )


def require_one_node(wrapper: Path) -> None:
    """Refuse a compiled network of which a part was left to the CPU.

    Raises:
        CompileError: names the operators that it was left with.
    """
    operators = [node.op_type for node in onnx.load(wrapper, load_external_data=False).graph.node]
    if operators != ["EPContext"]:
        raise CompileError(
            f"The HTP took only a part of the graph; it was left with {operators[:8]}.",
            cause="an operator without an HTP implementation at this precision",
        )


def _child(options: Sequence[str]) -> None:
    """Compile `MODEL` in the current folder into a context binary there."""
    import onnxruntime

    config = {
        "ep.context_enable": "1",
        "ep.context_embed_mode": "0",
        "ep.context_file_path": WRAPPER,
        # The graph comes as bytes, without a path that could reach the binary.
        "session.model_external_initializers_file_folder_path": WEIGHTS,
    }
    profile = {"profiling_file_path": TRACE}
    session_options = _session_options(_pairs(options) | profile, config)
    graph = Path(MODEL).read_bytes()
    onnxruntime.InferenceSession(graph, sess_options=session_options)


def _session_options(options: Mapping[str, str], config: Mapping[str, str]) -> Any:
    """Return session options that put every node on the HTP, or fail."""
    import onnxruntime
    import onnxruntime_qnn

    library = Path(onnxruntime_qnn.__file__).parent / "libQnnHtp.so"
    if PROVIDER not in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        onnxruntime.register_execution_provider_library(
            PROVIDER, onnxruntime_qnn.get_library_path()
        )
    device = next(
        candidate for candidate in onnxruntime.get_ep_devices() if candidate.ep_name == PROVIDER
    )
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 3
    # Threads of the runtime have no work here, and their number would vary with the machine.
    session_options.intra_op_num_threads = session_options.inter_op_num_threads = 1
    session_options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in config.items():
        session_options.add_session_config_entry(key, value)
    session_options.add_provider_for_devices([device], {"backend_path": str(library), **options})
    return session_options


def _pairs(options: Sequence[str]) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options)


def _link(place: Path, target: Path) -> None:
    """Make `place` a symbolic link to a file or folder."""
    place.symlink_to(target.resolve(), target_is_directory=target.is_dir())


if __name__ == "__main__":
    try:
        _child(sys.argv[1:])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
