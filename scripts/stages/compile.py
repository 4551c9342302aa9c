"""Compile a QNN model's source and weights into model libraries for the host and the board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import artefacts, sdk
from scripts.errors import ArtefactError, CompileError
from scripts.stages import modellib, program, progress, tools

TARGETS = (sdk.HOST, sdk.DEVICE)


def main(arguments: argparse.Namespace) -> None:
    """Run `qnn-model-lib-generator` of the SDK in force and hold its libraries to their contract.

    Raises:
        ArtefactError: an input is missing.
        CompileError: source and weights do not belong together, or a compiler refused them.
        ElfError: a library breaks the ABI contract of its target.
    """
    for path in (arguments.cpp, arguments.bin):
        if not path.is_file():
            raise ArtefactError(f"{path} does not exist.", remedy="run `invoke build`")
    made = [
        arguments.out / artefacts.model_library(arguments.model, arguments.precision, target)
        for target in TARGETS
    ]
    with progress.heartbeat("compile"):
        build(arguments.cpp, arguments.bin, made[0], TARGETS)
    for target, library in zip(TARGETS, made, strict=True):
        modellib.check(library, target)
        progress.say(f"  {library.name} for {target}: {library.stat().st_size} bytes, ABI holds")


def build(cpp: Path, weights: Path, library: Path, targets: Sequence[str]) -> None:
    """Run the generator for some targets; `library` is where that of the first goes.

    Raises:
        CompileError: source and weights do not belong together, or a compiler refused them.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    tools.run(
        sdk.in_force(),
        "qnn-model-lib-generator",
        *options(cpp, weights, library, targets),
        cwd=library.parent.parent,
        error=CompileError,
        cause="a source and weights of different builds, or a compiler that is missing",
    )


def options(
    cpp: Path, weights: Path, library: Path, targets: Sequence[str] = TARGETS
) -> list[str | Path]:
    """Return the generator's command line for `<libs>/<target>/lib<name>.so`."""
    name, libs = library.stem.removeprefix("lib"), library.parent.parent
    return ["-c", cpp, "-b", weights, "-t", " ".join(targets), "-l", name, "-o", libs]


def _parser() -> argparse.ArgumentParser:
    made = program.parser(__doc__)
    made.add_argument("--model", required=True, help="name in the catalog")
    made.add_argument("--precision", required=True)
    made.add_argument("--cpp", type=Path, required=True)
    made.add_argument("--bin", type=Path, required=True)
    return made


if __name__ == "__main__":
    program.run(main, _parser().parse_args())
