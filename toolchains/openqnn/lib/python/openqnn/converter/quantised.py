"""The ONNX model that is translated: as given, or with its encodings put in as Q and DQ nodes."""

from __future__ import annotations

import argparse
from pathlib import Path

from openqnn.refusal import Refused


def prepared(chosen: argparse.Namespace, folder: Path) -> Path:
    """Return the model to translate; one with Q and DQ nodes is written into `folder`."""
    if chosen.quantization_overrides:
        return _with_encodings(chosen.input_network, chosen.quantization_overrides, folder)
    model: Path = chosen.input_network
    return model


def _with_encodings(model: Path, encodings: Path, folder: Path) -> Path:
    """Insert the encodings with the repository's own stage, so that both agree to the bit."""
    from scripts.errors import PipelineError
    from scripts.stages import qdq

    out = folder / "quantised.onnx"
    try:
        qdq.insert(model, encodings, out)
    except PipelineError as error:
        raise Refused(str(error)) from error
    return out
