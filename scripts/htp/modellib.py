"""The ABI gate: what a model library must fulfil before it is used or shipped."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts import toml
from scripts.errors import ElfError
from scripts.htp import elf, sdk
from scripts.htp.elf import Abi, Elf

TOOLCHAINS = Path(__file__).resolve().parents[2] / "toolchains"
FOLDERS = {sdk.HOST: "x86_64-clang", sdk.DEVICE: "aarch64-gcc11"}


@dataclass(frozen=True)
class Surface:
    """The symbols of a model library: what it has to export, and patterns of what it may import."""

    exports: frozenset[str]
    imports: tuple[str, ...]


def check(library: Path, target: str) -> None:
    """Check a model library against the contract of its target.

    Raises:
        ElfError: it is for another machine, needs a newer runtime or an unknown library or
            symbol, has a search path of its own, or lacks an export of a model library.
    """
    file = elf.read(library)
    abi = elf.load_abi(TOOLCHAINS / FOLDERS[target] / "abi.toml")
    if breaches := list(violations(file, abi, surface())):
        raise ElfError(
            f"{library} breaks the contract of {target}:\n  " + "\n  ".join(breaches),
            cause="another compiler than that of the image, or a library of another target",
            remedy="build it again: `invoke build`",
        )


def surface() -> Surface:
    """Return the contract on symbols, from `toolchains/model_library.toml`."""
    data = toml.load(TOOLCHAINS / "model_library.toml")
    return Surface(frozenset(data["exports"]), tuple(data["imports"]))


def violations(file: Elf, abi: Abi, symbols: Surface) -> Iterator[str]:
    """Yield, in words, each point in which a library breaks the contract."""
    yield from elf.breaches(file, abi)
    if file.kind != "shared":
        yield f"is of kind {file.kind}, not a shared library"
    if file.rpath:
        yield f"has a search path of its own: {':'.join(file.rpath)}"
    if missing := sorted(symbols.exports - file.exports):
        yield f"does not export {', '.join(missing)}"
    if surplus := sorted(file.exports - symbols.exports):
        yield f"exports more than a model has: {_some(surplus)}"
    if unknown := sorted(name for name in file.imports if not _matches(name, symbols.imports)):
        yield f"has undefined symbols outside the runtime: {_some(unknown)}"


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
