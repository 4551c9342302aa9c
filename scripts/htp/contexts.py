"""HTP context binaries: compiling them from a model library, and reading their target.

A context names its target in clear text (QAIRT 2.51).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping
from pathlib import Path

from scripts.catalog import Precision, Target
from scripts.errors import ArtefactError, CompileError
from scripts.htp import config, estimate, modellib, sdk, timeline, tools

PROFILE = "qnn-profiling-data_0"
_TRACE = ("--profiling_option", "optrace")
_TARGET = re.compile(rb"(soc_type)=(\w+);(arch)=(\d+);.{0,4096}?(vtcm_size)=(\d+);")


def compile_context(
    library: Path, precision: Precision, target: Target, context: Path, *, trace: bool = False
) -> None:
    """Compile a model library for a target, and keep the compiler's estimate beside the context.

    With `trace` also its timeline, an empty one where it gives none; the context is the same.

    Raises:
        ElfError: the library is damaged, or not for this host.
        CompileError: the compiler refuses the graph, or compiled for another target.
    """
    modellib.check(library, sdk.HOST)
    root = sdk.in_force()
    sdk.check_libraries(root, target.arch)
    context.parent.mkdir(parents=True, exist_ok=True)
    settings = config.write(
        context.parent,
        root.library("libQnnHtpNetRunExtensions.so"),
        library.stem.removeprefix("lib"),
        target,
        is_fp16=precision.weights == 16,
    )
    with tools.heartbeat("compiling for the HTP"):
        command = [*options(root, library, settings, context), *(_TRACE if trace else ())]
        _run(root, context.parent, "qnn-context-binary-generator", *command)
    if not context.is_file():
        raise CompileError(f"The compiler succeeded, but left no {context.name}.")
    check_target(context, target)
    _save_estimate(root, context)
    if trace:
        _save_timeline(context, library.stem.removeprefix("lib"))
    (context.parent / f"{PROFILE}.log").unlink(missing_ok=True)
    tools.say(f"  {context.stat().st_size:,} bytes for {in_words(target_of(context))}")


def options(root: sdk.Sdk, library: Path, config: Path, context: Path) -> list[str | Path]:
    """Return the generator's command line; it puts `.bin` behind the name of the file."""
    return [
        *("--model", library, "--backend", root.library("libQnnHtp.so")),
        *("--config_file", config, "--output_dir", context.parent),
        *("--binary_file", context.name.removesuffix(".bin"), "--profiling_level", "detailed"),
    ]


def check_target(context: Path, target: Target) -> None:
    """Check that a context was compiled for the target.

    Raises:
        CompileError: the file is for another chip, or another size of VTCM.
    """
    expected = {
        "soc_type": target.soc_name,
        "arch": target.arch.removeprefix("v"),
        "vtcm_size": str(target.vtcm_mb * 2**20),
    }
    actual = target_of(context)
    if actual != expected:
        built, needed = in_words(actual), in_words(expected)
        raise CompileError(f"The compiler built for {built}, not for {needed}.")


def _save_estimate(root: sdk.Sdk, context: Path) -> None:
    """Save the compiler's estimate; where the profile is binary, its viewer writes the table."""
    table = context.with_name(f"{PROFILE}.csv")
    log = table.with_suffix(".log")
    if not table.is_file():
        _run(root, table.parent, "qnn-profile-viewer", "--input_log", log, "--output", table)
    estimate.save(estimate.read_profile(table), context)
    table.unlink()


def _save_timeline(context: Path, graph: str) -> None:
    """Save the timeline; the compiler leaves its schematic in the folder that it was started in."""
    log, schematic = (
        context.with_name(name) for name in (f"{PROFILE}.log", f"{graph}_schematic.bin")
    )
    timeline.read(log, schematic).save(context)
    schematic.unlink(missing_ok=True)


def _run(root: sdk.Sdk, folder: Path, tool: str, *arguments: str | Path) -> None:
    tools.run(
        root,
        tool,
        *arguments,
        cwd=folder,
        error=CompileError,
        cause="an operator, shape or data type that the HTP does not take",
    )


def target_of(context: Path) -> dict[str, str]:
    """Return the clear-text compiler settings `soc_type`, `arch`, `vtcm_size` (bytes) of a file.

    Raises:
        ArtefactError: they are not there.
    """
    match = _TARGET.search(_content(context))
    if not match:
        raise _broken(context, "it names no target")
    texts = [group.decode() for group in match.groups()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def in_words(target: Mapping[str, str]) -> str:
    """Return the settings of `target_of` as a person says them."""
    megabytes = int(target["vtcm_size"]) / 2**20
    return f"{target['soc_type']}, Hexagon v{target['arch']}, {megabytes:g} MB of VTCM"


def _content(context: Path) -> mmap.mmap:
    if not context.is_file() or not context.stat().st_size:
        raise _broken(context, "it is missing or empty")
    with context.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _broken(context: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{context} is not a complete HTP context binary: {reason}.",
        cause="an interrupted copy, or a file changed after it was built",
        remedy="build it again: `invoke build`",
    )
