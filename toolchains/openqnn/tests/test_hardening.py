"""What is built is hardened: read from the files themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import BOARD, HOST, SOURCES
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

pytestmark = pytest.mark.pipeline

PROGRAMS = [
    f"bin/{HOST}/dinov3-run",
    f"bin/{HOST}/qnn-net-run",
    f"bin/{HOST}/qnn-context-binary-generator",
    f"bin/{HOST}/qnn-context-binary-utility",
    f"bin/{BOARD}/dinov3-run",
]
LIBRARIES = [f"lib/{HOST}/recorder/libQnnHtp.so"]
NOW, PIE = 0x1, 0x08000000


def missing(path: Path, *, program: bool) -> set[str]:
    """The protections that an ELF file lacks."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
        (dynamic,) = (part for part in elf.iter_sections() if isinstance(part, DynamicSection))
        tags = {tag.entry.d_tag: tag.entry.d_val for tag in dynamic.iter_tags()}
        symbols = {
            symbol.name
            for part in elf.iter_sections()
            if isinstance(part, SymbolTableSection)
            for symbol in part.iter_symbols()
        }
        writable_code = any(
            segment["p_type"] == "PT_LOAD" and segment["p_flags"] & 3 == 3
            for segment in elf.iter_segments()
        )
        stack = segments.get("PT_GNU_STACK")
        present = {
            "position independent": elf["e_type"] == "ET_DYN"
            and (not program or bool(tags.get("DT_FLAGS_1", 0) & PIE)),
            "relocations read-only": "PT_GNU_RELRO" in segments,
            "symbols bound at the start": bool(tags.get("DT_FLAGS_1", 0) & NOW),
            "stack not executable": stack is not None and not stack["p_flags"] & 1,
            "stack canaries": "__stack_chk_fail" in {name.partition("@")[0] for name in symbols},
            "checked C library": not program
            or any(name.partition("@")[0].endswith("_chk") for name in symbols),
            "no relocations in code": "DT_TEXTREL" not in tags,
            "no code that can be written": not writable_code,
        }
    return {name for name, there in present.items() if not there}


@pytest.mark.parametrize("name", PROGRAMS + LIBRARIES)
def test_what_runs_is_hardened(root: Path, name: str) -> None:
    assert missing(root / name, program=name in PROGRAMS) == set()


def test_the_check_sees_what_is_missing(tmp_path: Path) -> None:
    options = ["-no-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-z", "execstack"]
    options += ["-Wl,-z,norelro", "-Wl,-z,lazy"]
    source = "#include <stdio.h>\nint main(void) { char line[9]; return !fgets(line, 9, stdin); }"
    command = ["clang-14", *options, "-x", "c", "-", "-o", str(tmp_path / "soft")]
    subprocess.run(command, input=source, text=True, check=True)
    assert missing(tmp_path / "soft", program=True) == {
        *("position independent", "relocations read-only", "symbols bound at the start"),
        *("stack not executable", "stack canaries", "checked C library"),
    }


def test_a_library_is_never_named_without_its_folder() -> None:
    """`dlopen` of a bare name asks folders that others choose; FastRPC's is the system's."""
    lines = [
        line.strip()
        for path in (SOURCES / "src").rglob("*.cpp")
        for line in path.read_text().splitlines()
        if "dlopen(" in line
    ]
    assert len(lines) == 4
    assert [line for line in lines if 'dlopen("' in line] == [
        'if (::dlopen("libcdsprpc.so", RTLD_LAZY | RTLD_LOCAL) != nullptr) return;'
    ]
