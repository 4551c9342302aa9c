"""The facts of an ELF file, and what it needs, read with pyelftools: no program is run.

`read` gives the facts, `breaches` compares them with a toolchain's `abi.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from scripts import toml
from scripts.errors import ElfError

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_QDSP6": "hexagon"}
KINDS = {"ET_REL": "object", "ET_EXEC": "executable", "ET_DYN": "shared"}
_VERSION = re.compile(r"(?P<family>\w+?)_(?P<number>[0-9]+(?:\.[0-9]+)*)")


@dataclass(frozen=True)
class Elf:
    """The facts of one file.

    `versions` is the highest version needed of each family, such as {"GLIBC": "2.34"};
    `exports` and `imports` are the dynamic symbols that are defined here and elsewhere, `symbols`
    those defined in the full table of an object file.
    """

    machine: str
    bits: int
    kind: str
    soname: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    versions: Mapping[str, str]
    exports: frozenset[str]
    imports: frozenset[str]
    symbols: frozenset[str]


@dataclass(frozen=True)
class Abi:
    """The limits of a library: its machine, the highest versions, and the libraries it may load."""

    machine: str
    bits: int
    ceilings: Mapping[str, str]
    needed: frozenset[str]


def read(path: Path) -> Elf:
    """Return the facts of an ELF file.

    Raises:
        ElfError: it is missing, truncated, or not an ELF file.
    """
    try:
        with path.open("rb") as stream:
            return _facts(ELFFile(stream))
    except FileNotFoundError:
        raise ElfError(f"{path} does not exist.") from None
    except (ELFError, AssertionError, ValueError, UnicodeDecodeError) as error:
        raise ElfError(
            f"{path} is not a complete ELF file: {error}", cause="it was truncated, or never built"
        ) from error


def load_abi(path: Path) -> Abi:
    """Return the contract in a toolchain's `abi.toml`."""
    data = toml.load(path)
    return Abi(data["machine"], data["bits"], data["ceilings"], frozenset(data["needed"]))


def breaches(elf: Elf, abi: Abi) -> tuple[str, ...]:
    """Return, in words, each point where a file breaks the contract; none where it fits."""
    return tuple(_breaches(elf, abi))


def number(version: str) -> tuple[int, ...]:
    """Return a dotted version as integers, so that 2.9 comes before 2.34."""
    return tuple(int(part) for part in version.split("."))


def _breaches(elf: Elf, abi: Abi) -> Iterator[str]:
    if (elf.machine, elf.bits) != (abi.machine, abi.bits):
        yield f"is {elf.bits}-bit {elf.machine}, not {abi.bits}-bit {abi.machine}"
    for family, version in sorted(elf.versions.items()):
        ceiling = abi.ceilings.get(family)
        if ceiling and number(version) > number(ceiling):
            yield f"needs {family}_{version}, past the ceiling {family}_{ceiling}"
    if surplus := sorted(set(elf.needed) - abi.needed):
        yield f"needs libraries outside the contract: {', '.join(surplus)}"


def _facts(elf: ELFFile) -> Elf:
    dynamic = _dynamic(elf)
    bound = _symbols(elf, "SHT_DYNSYM")
    defined = frozenset(name for name, section in bound if section != "SHN_UNDEF")
    return Elf(
        machine=MACHINES.get(elf["e_machine"], str(elf["e_machine"])),
        bits=elf.elfclass,
        kind=KINDS.get(elf["e_type"], str(elf["e_type"])),
        soname="".join(dynamic.get("soname", ())),
        needed=dynamic.get("needed", ()),
        rpath=dynamic.get("rpath", ()) + dynamic.get("runpath", ()),
        versions=_versions(elf),
        exports=defined,
        imports=frozenset(name for name, section in bound if section == "SHN_UNDEF"),
        symbols=frozenset(n for n, where in _symbols(elf, "SHT_SYMTAB") if where != "SHN_UNDEF"),
    )


def _dynamic(elf: ELFFile) -> dict[str, tuple[str, ...]]:
    """Return the texts of the dynamic section by tag: needed, soname, rpath, runpath."""
    texts: dict[str, tuple[str, ...]] = {}
    for section in _sections(elf, "SHT_DYNAMIC"):
        for tag in section.iter_tags():
            for name in ("needed", "soname", "rpath", "runpath"):
                if hasattr(tag, name):
                    texts[name] = (*texts.get(name, ()), getattr(tag, name))
    return texts


def _symbols(elf: ELFFile, kind: str) -> list[tuple[str, str]]:
    """Return (name, section index) of every global or weak symbol of one table."""
    return [
        (symbol.name, symbol["st_shndx"])
        for table in _sections(elf, kind)
        for symbol in table.iter_symbols()
        if symbol.name and symbol["st_info"]["bind"] != "STB_LOCAL"
    ]


def _versions(elf: ELFFile) -> dict[str, str]:
    highest: dict[str, str] = {}
    for section in _sections(elf, "SHT_GNU_verneed"):
        for _, needs in section.iter_versions():
            for need in needs:
                if match := _VERSION.fullmatch(need.name):
                    family, version = match["family"], match["number"]
                    highest[family] = max(highest.get(family, "0"), version, key=number)
    return highest


def _sections(elf: ELFFile, kind: str) -> list[Any]:
    return [section for section in elf.iter_sections() if section["sh_type"] == kind]
