"""Compile a model library into the HTP context binary of a target."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, catalog, sdk
from scripts.errors import CompileError
from scripts.stages import htp_config, modellib, program, progress, tools


def main(arguments: argparse.Namespace) -> None:
    """Run `qnn-context-binary-generator` of the SDK in force.

    Raises:
        ElfError: the library is damaged or not one for this host.
        CompileError: the compiler refuses the graph, or the target's settings.
    """
    modellib.check(arguments.library, sdk.HOST)
    root = sdk.in_force()
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    context = arguments.out / artefacts.context_binary(arguments.precision)
    context.parent.mkdir(parents=True, exist_ok=True)
    config = htp_config.write(
        context.parent,
        root.library("libQnnHtpNetRunExtensions.so"),
        arguments.library.stem.removeprefix("lib"),
        target,
        is_fp16=precision.weights == 16,
    )
    with progress.heartbeat("context"):
        tools.run(
            root,
            "qnn-context-binary-generator",
            *options(root, arguments.library, config, context),
            cwd=context.parent,
            error=CompileError,
            cause="an operator, shape or data type that the HTP does not take",
        )
    if not context.is_file():
        raise CompileError(f"The compiler succeeded, but left no {context.name}.")


def options(root: sdk.Sdk, library: Path, config: Path, context: Path) -> list[str | Path]:
    """Return the generator's command line; it puts `.bin` behind the name of the file."""
    return [
        *("--model", library, "--backend", root.library("libQnnHtp.so")),
        *("--config_file", config, "--output_dir", context.parent),
        *("--binary_file", context.name.removesuffix(".bin")),
    ]


def _parser() -> argparse.ArgumentParser:
    made = program.parser(__doc__)
    made.add_argument("--precision", required=True)
    made.add_argument("--library", type=Path, required=True, help="built for x86_64-linux-clang")
    made.add_argument("--target", required=True, help="name in the catalog")
    return made


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
