"""The targets of a model library, and where the official environment says their compilers are."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from openqnn.refusal import Refused

DEFAULT = "aarch64-android x86_64-linux-clang"


@dataclass(frozen=True)
class Target:
    """How one target is built.

    `variable` names the environment variable that holds the root of the cross toolchain,
    `prefixes` are the places of its tools below that root (the first that exists counts),
    and `sysroots` the places of its sysroot.
    """

    name: str
    makefile: str
    compiler: str
    variable: str = ""
    prefixes: tuple[str, ...] = ("",)
    sysroots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tools:
    """The compiler that was found; `sysroot` is empty where none is given."""

    compiler: str
    sysroot: str = ""

    def compiler_command(self) -> str:
        """Return what is passed to make as CXX."""
        return f"{self.compiler} --sysroot={self.sysroot}" if self.sysroot else self.compiler


TARGETS = {
    target.name: target
    for target in (
        Target("x86_64-linux-clang", "Makefile.linux-x86_64", "clang++"),
        Target(
            "aarch64-ubuntu-gcc9.4",
            "Makefile.ubuntu-aarch64-gcc9.4",
            "aarch64-linux-gnu-g++",
            variable="QNN_AARCH64_UBUNTU_GCC_94",
            prefixes=("usr/bin",),
            sysroots=("",),
        ),
        Target(
            "aarch64-oe-linux-gcc11.2",
            "Makefile.oe-linux-aarch64-gcc11.2",
            "aarch64-oe-linux-g++",
            variable="QNN_AARCH64_LINUX_OE_GCC_112",
            prefixes=(
                "sysroots/x86_64-qtisdk-linux/usr/bin/aarch64-oe-linux",
                "sysroots/x86_64/usr/bin/aarch64-oe-linux",
            ),
            sysroots=("sysroots/armv8a-oe-linux",),
        ),
    )
}
KNOWN_ELSEWHERE = ("aarch64-android", "aarch64-qnx", "x86_64-windows-msvc")


def parse(names: str) -> list[Target]:
    """Return the targets of one quoted, space separated string; raise `Refused` on others."""
    chosen = names.split()
    if not chosen:
        raise Refused("-t names no target.")
    unknown = [name for name in chosen if name not in TARGETS]
    if unknown:
        why = "is not built by this SDK" if unknown[0] in KNOWN_ELSEWHERE else "does not exist"
        raise Refused(
            f"The library target {unknown[0]} {why}; give -t with one of: {', '.join(TARGETS)}."
        )
    return [TARGETS[name] for name in dict.fromkeys(chosen)]


def find(target: Target) -> Tools:
    """Return the target's tools; raise `Refused` in the official words where they are missing."""
    if not target.variable:
        return Tools(_on_path(target.compiler))
    root = os.environ.get(target.variable, "")
    for prefix in target.prefixes:
        folder = Path(root or "/nonexistent") / prefix
        if (folder / target.compiler).is_file():
            return Tools(str(folder / target.compiler), _sysroot(target, root))
    raise Refused(_missing(target, root))


def _on_path(tool: str) -> str:
    found = shutil.which(tool) or shutil.which(f"{tool}-14")
    if found is None:
        raise Refused(f"Could not find compiler: {tool} is not on the PATH.")
    return found


def _sysroot(target: Target, root: str) -> str:
    folders = [Path(root) / one for one in target.sysroots]
    return next((str(folder) for folder in folders if folder.is_dir()), "")


def _missing(target: Target, root: str) -> str:
    expected = f"${{{target.variable}}}/{target.prefixes[0]}/{target.compiler}"
    state = f"{target.variable} is {root}" if root else f"{target.variable} is not set"
    return f"Could not find compiler: {expected} for target {target.name} ({state})."
