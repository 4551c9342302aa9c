"""The probe's script, run on this very machine, and its answers understood."""

import subprocess
from pathlib import Path

from scripts.boards import probe
from scripts.boards.probe import Skel
from scripts.boards.resources import script
from tests.packages import BUILD_ID


def asked(path: Path, **environment: str) -> probe.Facts:
    command = [
        "sh",
        "-c",
        script("probe.sh"),
        "sh",
        str(path),
        "libskel.so",
        "libc.so.6",
        "libno.so",
    ]
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return probe.parse(done.stdout)


def test_this_machine_answers(tmp_path: Path) -> None:
    facts = asked(tmp_path / "not" / "there" / "yet")
    assert (
        facts.arch == subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.strip()
    )
    assert facts.glibc.startswith("2.")
    assert facts.free > 0
    assert facts.writable
    assert "libc.so.6" in facts.libraries
    assert "libno.so" not in facts.libraries
    assert facts.missing == ()


def test_skels_are_found_in_the_order_of_the_search(tmp_path: Path) -> None:
    for name, content in (("a", f"x{BUILD_ID}y"), ("b c", "nothing")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "libskel.so").write_text(content)
    facts = asked(
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
    facts = probe.parse("")
    assert (facts.arch, facts.socs, facts.free, facts.writable) == ("", (), 0, False)
