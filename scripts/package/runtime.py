"""Qualcomm's libraries in a package: those of one build, for the board."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from scripts.catalog import Target
from scripts.errors import ElfError, SdkError
from scripts.htp import elf
from scripts.package import build_id, compiler
from scripts.package.item import DATA, PROGRAM, Item

_BOARD = "lib/aarch64-ubuntu-gcc9.4"


def libraries(sdk: Path, target: Target) -> list[Item]:
    """Return the libraries that a board needs to run a context binary.

    Raises:
        SdkError: one is missing, is for another processor, or of another build than the compiler.
    """
    arch = target.arch.upper()
    host = (f"{_BOARD}/{name}" for name in ("libQnnHtp.so", "libQnnSystem.so"))
    stub = f"{_BOARD}/libQnnHtp{arch}Stub.so"
    skel = f"lib/hexagon-{target.arch}/unsigned/libQnnHtp{arch}Skel.so"
    expected = compiler.build_id_of(sdk)
    libraries = [_library(sdk / path, "aarch64", expected) for path in (*host, stub)]
    return [*libraries, _library(sdk / skel, "hexagon", expected)]


def needs(items: list[Item], target: Target) -> dict[str, str | list[str]]:
    """Return what the shipped aarch64 files need of a board: newest glibc, and libraries.

    Raises:
        ElfError: one needs a newer glibc than the target's images have.
    """
    files = [item.source for item in items if item.mode == PROGRAM or item.path.endswith(".so")]
    headers = {path: elf.read(path) for path in files if isinstance(path, Path)}
    facts = {path: header for path, header in headers.items() if header.machine == "aarch64"}
    versions = {path: header.versions.get("GLIBC", "0") for path, header in facts.items()}
    for path, version in versions.items():
        if elf.number(version) > elf.number(target.glibc):
            raise ElfError(
                f"{path} needs glibc {version}; images of {target.name} have {target.glibc}.",
                cause="it was compiled with a newer tool chain than the image's",
                remedy="build it in the image: invoke build",
            )
    shipped = {PurePosixPath(item.path).name for item in items}
    libraries = {name for header in facts.values() for name in header.needed} - shipped
    glibc = max(versions.values(), key=elf.number, default="0")
    return {"glibc": glibc, "libraries": sorted(libraries)}


def _library(path: Path, machine: str, expected: str) -> Item:
    if not path.is_file():
        raise SdkError(f"The SDK has no {path}.", cause="the SDK was installed without this board")
    actual = elf.read(path).machine
    if actual != machine:
        raise SdkError(f"{path} is a library for {actual}, not for {machine}.")
    if not build_id.carried(path, expected):
        raise SdkError(
            f"{path} is of build {build_id.find(path)}, the compiler of build {expected}.",
            cause="files of two SDK releases were mixed",
            remedy="install one release of the SDK whole",
        )
    return Item(f"lib/{path.name}", path, "runtime", DATA)
