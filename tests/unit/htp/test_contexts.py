"""What a context binary says of itself, and what it is held against."""

from pathlib import Path

import pytest

from scripts import catalog
from scripts.errors import ArtefactError, CompileError
from scripts.htp import contexts

TARGET = catalog.targets()["iq9075"]
HEAD = b"\x02\0\0\0x\0PICKLE/256/graph_1\0\x01"
TAIL = b"\0soc_type=QCS9100;arch=73;num_nsps=1;l2tcm_kb=128;vtcm_size=8388608;02res\0"


def _context(folder: Path, data: bytes) -> Path:
    path = folder / "c.serialized.bin"
    path.write_bytes(data)
    return path


def test_reads_what_a_context_says_of_itself(tmp_path: Path) -> None:
    path = _context(tmp_path, HEAD + b"\xff" * 5000 + TAIL)
    assert contexts.target_of(path) == {"soc_type": "QCS9100", "arch": "73", "vtcm_size": "8388608"}
    contexts.check_target(path, TARGET)


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + b"\0" * 64])
def test_a_file_that_is_no_context_is_refused(tmp_path: Path, data: bytes) -> None:
    path = _context(tmp_path, data)
    with pytest.raises(ArtefactError, match="not a complete HTP context"):
        contexts.target_of(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="missing"):
        contexts.target_of(tmp_path / "nothing.bin")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(b"QCS9100", b"SM8650X"), (b"arch=73", b"arch=75"), (b"8388608", b"4194304")],
)
def test_a_context_for_another_target_is_refused(
    tmp_path: Path, right: bytes, wrong: bytes
) -> None:
    path = _context(tmp_path, HEAD + TAIL.replace(right, wrong))
    with pytest.raises(CompileError, match="not for"):
        contexts.check_target(path, TARGET)
