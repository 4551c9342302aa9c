"""Compile a network, with encodings or in float16, into an HTP context binary."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openqnn.progress import heartbeat, say
from openqnn.quantization import qdq
from scripts import artefacts, catalog, program
from scripts.errors import CompileError, UsageError
from scripts.htp import contexts, estimate, provider


def main(arguments: argparse.Namespace) -> None:
    """Write the context binary, and the compiler's estimate of it."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    quantized = precision.weights < 16
    if quantized != (arguments.encodings is not None):
        raise UsageError(
            f"Precision {precision.name} {'needs' if quantized else 'takes no'} --encodings."
        )
    settings = provider.Settings(arguments.soc_model, arguments.vtcm_mb, fp16=not quantized)
    target = arguments.out / artefacts.context_binary(precision.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(arguments.out) as scratch:
        model = arguments.onnx
        if quantized:
            model = scratch / "network.onnx"
            with heartbeat("quantising the weights"):
                qdq.insert(arguments.onnx, arguments.encodings, model)
        build = scratch / "build"
        build.mkdir()
        with heartbeat("compiling for the HTP"):
            provider.compile_context(model, target, build, settings)
        estimate.save(estimate.read_profile(build / provider.TRACE), target)
    check_target(target, settings)
    say(f"  {target.stat().st_size:,} bytes for {contexts.in_words(contexts.target_of(target))}")


def check_target(context: Path, settings: provider.Settings) -> None:
    """Hold what the compiler wrote into a context against the catalog's target.

    Raises:
        CompileError: the file is for another chip, or another size of VTCM.
    """
    known = [
        target for target in catalog.targets().values() if target.soc_model == settings.soc_model
    ]
    if not known:
        raise UsageError(
            f"No target in the catalog has the SoC number {settings.soc_model}.",
            remedy="add it to scripts/catalog/targets.toml",
        )
    expected = {
        "soc_type": known[0].soc_name,
        "arch": known[0].arch.removeprefix("v"),
        "vtcm_size": str(settings.vtcm_mb * 2**20),
    }
    actual = contexts.target_of(context)
    if actual != expected:
        words = [contexts.in_words(settings) for settings in (actual, expected)]
        raise CompileError(f"The context binary is for {words[0]}, not for {words[1]}.")


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """Yield a folder on the disk of the outputs, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=out) as folder:
        yield Path(folder)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--precision", required=True, help="name in the catalog")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network")
    parser.add_argument("--encodings", type=Path, help="AIMET encodings of that network")
    parser.add_argument("--soc-model", type=int, required=True, help="Qualcomm's SoC number")
    parser.add_argument("--vtcm-mb", type=int, required=True, help="VTCM of the target in MB")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
