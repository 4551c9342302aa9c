"""Building one target: a temporary tree of sources and weights, and a parallel make in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openqnn import root
from openqnn.modellib import targets, weights
from openqnn.refusal import Refused

LINES_SHOWN = 30


def library(cpp: Path, archive: Path | None, target: targets.Target, out: Path) -> None:
    """Build `out`, a lib<name>.so, for one target.

    Raises `Refused` with the compiler's own words where make fails. Every path that the compiler
    sees is relative to the temporary tree, so that its bytes do not depend on where that is.
    """
    tools = targets.find(target)
    with _tree() as tree:
        shutil.copytree(root.jni(), tree, dirs_exist_ok=True)
        shutil.copyfile(cpp, tree / "model.cpp")
        if archive is not None:
            weights.unpack(archive, tree / "obj/binary", weights.digests(cpp))
        _make(tree, target, tools, out.name)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tree / "libs" / target.name / out.name, out)


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
        f"OBJCOPY={tools.objcopy}",
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
