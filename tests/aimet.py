"""An environment with AIMET in it, made from a lock: `aimet.txt` beside this file.

`python -m tests.aimet` makes the lock anew. AIMET is no part of the image: it is what our encodings
are held against.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import pip_settings
from scripts.errors import ImageBuildError
from scripts.image import wheels
from scripts.image.buildlog import BuildLog
from scripts.image.wheels import Platform

LOCK = Path(__file__).with_suffix(".txt")
CLIENT = Path(__file__).with_name("aimet_client.py")
# torch without the libraries of a GPU's maker, 3 GB, as in the image's lock.
REQUIREMENTS = ("aimet-onnx==2.42.0", "torch==2.13.0+cpu")
PLATFORM = Platform("3.11", "x86_64", "2.36")


def python(folder: Path) -> Path:
    """Return the Python of an environment in `folder` that has what the lock has; make it once.

    The test is skipped where that cannot be had: by another Python, or without an index.
    """
    python, whole = folder / "aimet" / "bin" / "python", folder / "aimet" / LOCK.name
    if whole.exists() and whole.read_bytes() == LOCK.read_bytes():
        return python
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != PLATFORM.python:
        pytest.skip(f"the lock is for Python {PLATFORM.python}")
    try:
        folder_of_wheels = wheels.download(LOCK, PLATFORM, BuildLog(folder / "fetch.log"))
    except ImageBuildError as error:
        pytest.skip(f"no AIMET: {error}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "aimet")], check=True)
    command = [str(python), "-I", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--require-hashes", "--find-links", str(folder_of_wheels), "-r", str(LOCK)]
    subprocess.run(command, check=True, env=pip_settings.FIXED)
    whole.write_bytes(LOCK.read_bytes())
    return python


def _lock() -> None:
    pins = wheels.resolve(REQUIREMENTS, PLATFORM)
    head = "# Made by `python -m tests.aimet`; do not edit.\n"
    LOCK.write_text(head + "".join(pin.line() for pin in pins))


if __name__ == "__main__":
    _lock()
