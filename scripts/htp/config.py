"""The two JSON files with the device that Qualcomm's tools compile for, and the options.

Level 1 names the backend's extension library and level 2; level 2 has the graph's and the device's
settings. Keys are those of the documented schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.catalog import Target

EXTENSIONS = "backend_extensions.json"
CONFIG = "htp_config.json"
OPTIMIZATION = 3


def write(folder: Path, library: Path, graph: str, target: Target, *, is_fp16: bool) -> Path:
    """Write both levels into `folder` and return level 1.

    `library` is libQnnHtpNetRunExtensions.so. Level 1 names level 2 without a folder, so that the
    files can be moved together: the tools run in `folder`.
    """
    extensions = {
        "backend_extensions": {
            "shared_library_path": str(library),
            "config_file_path": CONFIG,
        }
    }
    _save(folder / CONFIG, settings(graph, target, is_fp16=is_fp16))
    _save(folder / EXTENSIONS, extensions)
    return folder / EXTENSIONS


def settings(graph: str, target: Target, *, is_fp16: bool) -> dict[str, Any]:
    """Return level 2; with `is_fp16`, float32 tensors are computed in float16."""
    return {
        "graphs": [
            {
                "graph_names": [graph],
                "vtcm_mb": target.vtcm_mb,
                "O": OPTIMIZATION,
                "fp16_relaxed_precision": int(is_fp16),
            }
        ],
        "devices": [{"soc_model": target.soc_model, "dsp_arch": target.arch}],
    }


def _save(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
