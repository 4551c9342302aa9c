"""Compiles an ONNX file into a plain serialized HTP context binary, with the same bytes every time.

`compile_context` starts this module again, as a small process with a fixed environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx

from scripts.errors import CompileError
from scripts.stages import htp
from scripts.stages.htp import Settings

# The compiler writes uninitialised memory into padding: without the allocator's cache and with
# `perturb` fresh memory reads as zeros, and without address randomisation pointers are the same.
REPEATABLE = "glibc.malloc.tcache_count=0:glibc.malloc.perturb=255:glibc.malloc.arena_max=1"
# Inside a compile every file has one fixed name, lest a folder's name end up in the binary.
MODEL = "network.onnx"
LAST_LINES = 12


def compile_context(model: Path, out: Path, scratch: Path, settings: Settings) -> None:
    """Compile an ONNX file into the context binary `out`; `scratch` is an empty folder.

    The compiler runs in a process of its own, always started the same way: same bytes every time.
    It leaves its profile in `scratch`, as `htp.TRACE`.

    Raises:
        CompileError: the compiler refuses the graph, or would leave a part of it to the CPU.
    """
    htp.link(scratch / MODEL, model)
    htp.link(scratch / htp.WEIGHTS, model.parent)
    _run_child(scratch, [f"{key}={value}" for key, value in settings.options().items()])
    _require_one_node(scratch / htp.WRAPPER)
    shutil.move(scratch / htp.CONTEXT, out)


def _run_child(scratch: Path, options: list[str]) -> None:
    """Run the compiler in a process without address randomisation and with a fixed environment."""
    source = Path(__file__).resolve().parents[2]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(source),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GLIBC_TUNABLES": REPEATABLE,
        "OPENBLAS_NUM_THREADS": "1",
    }
    child = [sys.executable, "-m", "scripts.stages.htp_compiler", *options]
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
            remedy="try --precision fp16; see the compiler's words above",
        )


def _require_one_node(wrapper: Path) -> None:
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
        "ep.context_file_path": htp.WRAPPER,
        # The graph comes as bytes, without a path that could reach the binary.
        "session.model_external_initializers_file_folder_path": htp.WEIGHTS,
    }
    profile = {"profiling_level": "detailed", "profiling_file_path": htp.TRACE}
    made = htp.session_options(_pairs(options) | profile, config)
    graph = Path(MODEL).read_bytes()
    onnxruntime.InferenceSession(graph, sess_options=made)


def _pairs(options: Sequence[str]) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options)


if __name__ == "__main__":
    try:
        _child(sys.argv[1:])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
