"""Building one target: a temporary tree of sources, and a parallel make in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openqnn import root
from openqnn.modellib import targets, weights
from openqnn.modellib.weights import Weight
from openqnn.refusal import Refused

LINES_SHOWN = 30


@dataclass(frozen=True)
class Sources:
    """What a model is built from: its source, its archive, and the weights in that."""

    cpp: Path
    archive: Path | None
    weights: Sequence[Weight]


def library(sources: Sources, target: targets.Target, out: Path) -> None:
    """Build `out`, a lib<name>.so, for one target.

    Raises `Refused` with the compiler's own words where make fails. Every path that the compiler
    sees is relative to the temporary tree, so that its bytes do not depend on where that is.
    """
    tools = targets.find(target)
    with _tree() as tree:
        shutil.copytree(root.jni(), tree, dirs_exist_ok=True)
        shutil.copyfile(sources.cpp, tree / "model.cpp")
        _place_weights(sources, tree)
        _make(tree, target, tools, out.name)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tree / "libs" / target.name / out.name, out)


def _place_weights(sources: Sources, tree: Path) -> None:
    """Have the weights assembled from where they are: the disk holds them once less."""
    if sources.archive is None:
        return
    archive = Path("obj/binary/weights.bin")
    (tree / archive).parent.mkdir(parents=True)
    (tree / archive).symlink_to(sources.archive.resolve())
    for number, text in enumerate(weights.assembly(archive, sources.weights)):
        (tree / archive).with_name(f"weights_{number:04}.S").write_text(text)


@contextmanager
def _tree() -> Iterator[Path]:
    """Yield a temporary folder under the current one, where there is room for the weights."""
    folder = tempfile.mkdtemp(prefix=f"tmp_{os.getpid()}_", dir=Path.cwd())
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(tree: Path, target: targets.Target, tools: targets.Tools, name: str) -> None:
    command = [
        "make",
        f"--jobs={root.jobs()}",
        f"--file={target.makefile}",
        f"CXX={tools.compiler_command()}",
    ]
    environment = {
        **os.environ,
        "QNN_MODEL_LIB_NAME": name,
        "QNN_SDK_ROOT": str(root.path()),
    }
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-LINES_SHOWN:])
        raise Refused(
            f"Failed to compile model library for target: {target.name} "
            f"(make returned {done.returncode})\n{last}"
        )
