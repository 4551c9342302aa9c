"""The process that compiles one graph: `htp.compile_context` starts it, always in the same way."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.stages import htp


def main(scratch: str, model: str, *options: str) -> None:
    """Compile `weights/<model>` below the folder `scratch` into a context binary there."""
    import onnxruntime

    os.chdir(scratch)
    config = {
        "ep.context_enable": "1",
        "ep.context_embed_mode": "0",
        "ep.context_file_path": htp.WRAPPER,
        # The graph comes as bytes, without a path that could reach the binary.
        "session.model_external_initializers_file_folder_path": htp.WEIGHTS,
    }
    profile = {"profiling_level": "detailed", "profiling_file_path": htp.TRACE}
    made = htp.session_options(_pairs(options) | profile, config)
    graph = (Path(htp.WEIGHTS) / model).read_bytes()
    onnxruntime.InferenceSession(graph, sess_options=made)


def _pairs(options: Sequence[str]) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
