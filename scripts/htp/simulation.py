"""The simulated time of a quantised network, through the same commands as a build."""

from __future__ import annotations

import tempfile
from pathlib import Path

from openqnn.quantization.encodings import Encodings
from scripts.catalog import Precision, Target
from scripts.htp import contexts, conversion, estimate, libraries, sdk, tools

NAME = "trial"


def milliseconds(
    network: Path, encodings: Encodings, precision: Precision, target: Target, scratch: Path
) -> float:
    """Return what the compiler estimates for an inference on a target.

    Several run side by side, so their commands say nothing, unless they fail.

    Raises:
        ConversionError, CompileError: as the stages `convert`, `compile` and `context`; or the
            compiler has no estimate for the target.
    """
    with tools.quietly(), tempfile.TemporaryDirectory(dir=scratch) as name:
        out = Path(name).absolute()
        file, cpp = out / f"{NAME}.encodings.json", out / f"{NAME}.cpp"
        encodings.save(file)
        conversion.convert(network, file, cpp, target)
        library = out / sdk.HOST / f"lib{NAME}.so"
        libraries.build(cpp, cpp.with_suffix(".bin"), library, [sdk.HOST])
        context = out / "context" / f"{NAME}.serialized.bin"
        contexts.compile_context(library, precision, target, context)
        return estimate.required(estimate.load(context)).microseconds / 1000
