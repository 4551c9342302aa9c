"""The simulated time of a quantised network, through the same commands as a build."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

from scripts import artefacts, sdk
from scripts.stages import compile as compiling
from scripts.stages import context, convert
from scripts.stages.encodings import Encodings
from scripts.stages.estimate import Estimate

MODEL, PRECISION = "trial", "mixed"


def milliseconds(network: Path, encodings: Encodings, target: str, scratch: Path) -> float:
    """Return what the compiler estimates for an inference on a target.

    Raises:
        ConversionError, CompileError: as the stages `convert`, `compile` and `context`.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        out = Path(name)
        file = out / "encodings.json"
        encodings.save(file)
        common = Namespace(model=MODEL, precision=PRECISION, target=target, out=out)
        convert.main(Namespace(**vars(common), onnx=network, encodings=file))
        cpp = out / artefacts.model_cpp(MODEL, PRECISION)
        library = out / artefacts.model_library(MODEL, PRECISION, sdk.HOST)
        compiling.build(cpp, cpp.with_suffix(".bin"), library, [sdk.HOST])
        context.main(Namespace(**vars(common), library=library))
        return Estimate.load(out / artefacts.context_binary(PRECISION)).microseconds / 1000
