"""Compile a model library into the HTP context binary of a target, and keep the estimate of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts import artefacts, catalog, sdk
from scripts.catalog import Target
from scripts.errors import CompileError
from scripts.stages import estimate, htp, htp_config, modellib, program, progress, tools

PROFILE = "qnn-profiling-data_0"


def main(arguments: argparse.Namespace) -> None:
    """Run `qnn-context-binary-generator` of the SDK in force.

    Raises:
        ElfError: the library is damaged or not one for this host.
        CompileError: the compiler refuses the graph, or compiled for another target.
    """
    modellib.check(arguments.library, sdk.HOST)
    root = sdk.in_force()
    target = catalog.pick(catalog.targets(), arguments.target, "target")
    sdk.check_libraries(root, target.arch)
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    context = (arguments.out / artefacts.context_binary(precision.name)).absolute()
    context.parent.mkdir(parents=True, exist_ok=True)
    config = htp_config.write(
        context.parent,
        root.library("libQnnHtpNetRunExtensions.so"),
        arguments.library.stem.removeprefix("lib"),
        target,
        is_fp16=precision.weights == 16,
    )
    with progress.heartbeat("compiling for the HTP"):
        command = options(root, arguments.library, config, context)
        _run(root, context.parent, "qnn-context-binary-generator", *command)
    if not context.is_file():
        raise CompileError(f"The compiler succeeded, but left no {context.name}.")
    check_target(context, target)
    _save_estimate(root, context)
    progress.say(f"  {context.stat().st_size:,} bytes for {htp.target_of(context)}")


def options(root: sdk.Sdk, library: Path, config: Path, context: Path) -> list[str | Path]:
    """Return the generator's command line; it puts `.bin` behind the name of the file."""
    return [
        *("--model", library, "--backend", root.library("libQnnHtp.so")),
        *("--config_file", config, "--output_dir", context.parent),
        *("--binary_file", context.name.removesuffix(".bin"), "--profiling_level", "detailed"),
    ]


def check_target(context: Path, target: Target) -> None:
    """Hold what the compiler wrote into a context against the target.

    Raises:
        CompileError: the file is for another chip, or another size of VTCM.
    """
    wanted = {
        "soc_type": target.soc_name,
        "arch": target.arch.removeprefix("v"),
        "vtcm_size": str(target.vtcm_mb * 2**20),
    }
    found = htp.target_of(context)
    if found != wanted:
        raise CompileError(f"The compiler built for {found}, not for {wanted}.")


def _save_estimate(root: sdk.Sdk, context: Path) -> None:
    """Keep the compiler's estimate; where the profile is binary, its viewer makes the table."""
    table = context.with_name(f"{PROFILE}.csv")
    log = table.with_suffix(".log")
    if not table.is_file():
        _run(root, table.parent, "qnn-profile-viewer", "--input_log", log, "--output", table)
    estimate.read_profile(table).save(context)
    for path in (table, log):
        path.unlink(missing_ok=True)


def _run(root: sdk.Sdk, folder: Path, tool: str, *arguments: str | Path) -> None:
    tools.run(
        root,
        tool,
        *arguments,
        cwd=folder,
        error=CompileError,
        cause="an operator, shape or data type that the HTP does not take",
    )


def _parser() -> argparse.ArgumentParser:
    made = program.parser(__doc__)
    made.add_argument("--precision", required=True, help="name in the catalog")
    made.add_argument("--library", type=Path, required=True, help="built for x86_64-linux-clang")
    made.add_argument("--target", required=True, help="board, by its name in the catalog")
    return made


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
