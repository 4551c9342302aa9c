"""From a QNN model to model libraries, with `qnn-model-lib-generator`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openqnn import progress
from scripts.errors import ArtefactError, CompileError
from scripts.htp import modellib, sdk, tools

TARGETS = (sdk.HOST, sdk.DEVICE)


def compile_all(cpp: Path, weights: Path, libraries: Sequence[Path]) -> None:
    """Compile a model for the host and the board, and check each library's ABI.

    Raises:
        ArtefactError: an input is missing.
        CompileError: source and weights do not belong together, or a compiler refused them.
        ElfError: a library breaks the ABI contract of its target.
    """
    for path in (cpp, weights):
        if not path.is_file():
            raise ArtefactError(f"{path} does not exist.", remedy="run `invoke build`")
    with progress.heartbeat("compile"):
        build(cpp, weights, libraries[0], TARGETS)
    for target, library in zip(TARGETS, libraries, strict=True):
        modellib.check(library, target)
        progress.say(f"  {library.name} for {target}: {library.stat().st_size} bytes, ABI holds")


def build(cpp: Path, weights: Path, library: Path, targets: Sequence[str]) -> None:
    """Run the generator for some targets; `library` is the path of the first target's library.

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
