"""The SDK root that these programs are installed in."""

from __future__ import annotations

import os
import re
from pathlib import Path

HOST = "x86_64-linux-clang"


def path() -> Path:
    """Return the root: the folder above `lib/python`."""
    return Path(__file__).resolve().parents[3]


def jni() -> Path:
    """Return the C++ sources and makefiles that every model library is built with."""
    return path() / "share/QNN/converter/jni"


def host_library(name: str) -> Path:
    """Return a library that runs on this machine, e.g. `libQnnHtp.so`."""
    return path() / "lib" / HOST / name


def version() -> str:
    """Return the `version` of `sdk.yaml`, or `unknown` where the file does not say."""
    text = (path() / "sdk.yaml").read_text() if (path() / "sdk.yaml").is_file() else ""
    found = re.search(r"^version:\s*[\"']?([\w.]+)", text, re.MULTILINE)
    return found[1] if found else "unknown"


def jobs() -> int:
    """Return how many processes may run side by side here."""
    return len(os.sched_getaffinity(0))
