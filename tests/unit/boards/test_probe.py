"""The probe's script, run on this very machine, and its answers understood."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from scripts.boards import probe
from scripts.boards.probe import Skel
from scripts.errors import DeviceError
from tests.packages import BUILD_ID
from tests.unit.boards.local import Local


def facts_of(path: Path, **environment: str) -> probe.Facts:
    board = Local(path, environment={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **environment})
    return asyncio.run(probe.probe(board, ["libc.so.6", "libno.so"], "libskel.so"))


def test_this_machine_answers(tmp_path: Path) -> None:
    facts = facts_of(tmp_path / "not" / "there" / "yet")
    assert (
        facts.arch == subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.strip()
    )
    assert facts.glibc.startswith("2.")
    assert facts.free > 0
    assert (facts.writable, facts.executable, facts.unwritable) == (True, True, "")
    assert not list(tmp_path.glob(".trial*"))
    assert Path(facts.libraries["libc.so.6"]).exists()
    assert "libno.so" not in facts.libraries
    assert facts.missing == ()


def test_skels_are_found_in_the_order_of_the_search(tmp_path: Path) -> None:
    for name, content in (("a", f"x{BUILD_ID}y"), ("b c", "nothing")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "libskel.so").write_text(content)
    facts = facts_of(
        tmp_path,
        ADSP_LIBRARY_PATH=f"{tmp_path}/a;/none",
        DSP_LIBRARY_PATH=f"{tmp_path}/b c",
    )
    assert facts.skels == (
        Skel(f"{tmp_path}/b c/libskel.so", "", "DSP_LIBRARY_PATH"),
        Skel(f"{tmp_path}/a/libskel.so", BUILD_ID, "ADSP_LIBRARY_PATH"),
    )
    assert facts.search["ADSP_LIBRARY_PATH"] == f"{tmp_path}/a;/none"


def test_a_board_that_says_nothing_is_understood() -> None:
    facts = probe.parse(b"")
    assert (facts.arch, facts.socs, facts.free, facts.writable) == ("", (), 0, False)


def test_a_folder_where_nothing_can_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    facts = facts_of(tmp_path / "file")
    assert not facts.writable
    assert "Not a directory" in facts.unwritable


@pytest.mark.parametrize("answer", [b"free_kb\tmuch", b"skel\ta", b"arch", b"Welcome"])
def test_nonsense_is_an_error_of_that_board(answer: bytes) -> None:
    with pytest.raises(DeviceError, match="none of our scripts says"):
        probe.parse(answer)
