"""The ELF reader against this interpreter's own files, and the ABI rules against made-up facts."""

import dataclasses
import platform
import sys
from pathlib import Path

import numpy
import pytest

from scripts.errors import ElfError
from scripts.htp import elf

LIBRARY = elf.Elf(
    machine="aarch64",
    bits=64,
    kind="shared",
    soname="libmodel.so",
    needed=("libstdc++.so.6", "libc.so.6"),
    rpath=(),
    versions={"GLIBC": "2.34", "GLIBCXX": "3.4.9"},
    exports=frozenset({"QnnModel_composeGraphs"}),
    imports=frozenset(),
    symbols=frozenset(),
)
ABI = elf.Abi(
    machine="aarch64",
    bits=64,
    ceilings={"GLIBC": "2.35", "GLIBCXX": "3.4.29"},
    needed=frozenset({"libstdc++.so.6", "libc.so.6"}),
)


def extension_module() -> Path:
    return next(Path(numpy.__path__[0]).rglob("_multiarray_umath*.so"))


def test_reads_a_shared_library() -> None:
    facts = elf.read(extension_module())
    assert (facts.machine, facts.bits, facts.kind) == (platform.machine(), 64, "shared")
    assert "PyInit__multiarray_umath" in facts.exports
    assert "PyModule_Create2" in facts.imports or "PyModuleDef_Init" in facts.imports
    assert "libc.so.6" in facts.needed
    assert elf.number(facts.versions["GLIBC"]) >= (2, 2)


def test_interpreter_is_of_this_machine() -> None:
    assert elf.read(Path(sys.executable).resolve()).machine == platform.machine()


@pytest.mark.parametrize("size", [0, 3, 40, 64, 5000])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.so"
    cut.write_bytes(extension_module().read_bytes()[:size])
    with pytest.raises(ElfError, match=r"cut\.so"):
        elf.read(cut)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ElfError, match="does not exist"):
        elf.read(tmp_path / "none.so")


def test_a_fitting_library_breaks_nothing() -> None:
    assert elf.breaches(LIBRARY, ABI) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"machine": "x86_64"}, "x86_64"),
        ({"bits": 32}, "32-bit"),
        ({"versions": {"GLIBC": "2.36"}}, "GLIBC_2.36"),
        ({"versions": {"GLIBCXX": "3.4.30"}}, "GLIBCXX_3.4.30"),
        ({"needed": ("libc++.so.1",)}, "libc++.so.1"),
    ],
)
def test_each_breach_is_named(change: dict[str, object], words: str) -> None:
    (breach,) = elf.breaches(dataclasses.replace(LIBRARY, **change), ABI)  # type: ignore[arg-type]
    assert words in breach


def test_versions_compare_by_number() -> None:
    assert elf.number("2.9") < elf.number("2.34")
