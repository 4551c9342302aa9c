"""Boards that a package does not fit: refused with both sides, before a byte is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.errors import DeviceError, MismatchError
from tests import packages
from tests.device import boards
from tests.device.conftest import Archive, Bench

pytestmark = pytest.mark.device
Make = Callable[..., Archive]
Change = Callable[[boards.Board], object]
SKEL = "libQnnHtpV73Skel.so"

MISMATCHES: dict[str, tuple[Change, str, str]] = {
    "architecture": (lambda b: b.fake("uname", "echo x86_64"), "aarch64", "x86_64"),
    "soc": (
        lambda b: b.put("/sys/devices/soc0/machine", "SM8650"),
        "one of QCS9075, QCS9100, SA8775P",
        "SM8650",
    ),
    "no soc": (
        lambda b: (b.root / "sys/devices/soc0/machine").unlink(),
        "QCS9075",
        "none it tells",
    ),
    "glibc": (lambda b: b.fake("getconf", "echo glibc 2.31"), "glibc 2.34", "2.31"),
    "no glibc": (lambda b: b.fake("getconf", "exit 1"), "glibc 2.34", "no glibc"),
    "fastrpc": (
        lambda b: (b.root / "usr/lib/libcdsprpc.so").unlink(),
        "libcdsprpc.so",
        "no such library",
    ),
    "disk": (lambda b: b.fake("df", "echo header; echo fs 0 0 4000 0%"), "MB", "4.1 MB free"),
    "folder": (lambda b: b.data.chmod(0o755), "/data, writable", "no right"),
    "command": (lambda b: (b.root / "bin/flock").unlink(), "flock", "none of them"),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_mismatches_are_refused_before_a_byte_is_sent(
    board: boards.Board, bench: Bench, archive: Make, name: str
) -> None:
    change, package, actual = MISMATCHES[name]
    change(board)
    with pytest.raises(MismatchError) as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    for part in (package, actual):
        assert part in caught.value.what
    assert caught.value.remedy
    assert not list(board.data.iterdir())


def test_a_numbered_fastrpc_is_linked_to_inside_the_release(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    library = board.root / "usr/lib/libcdsprpc.so"
    library.rename(library.with_name("libcdsprpc.so.1"))
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    assert "libcdsprpc.so.1 alone" in capsys.readouterr().out
    link = board.data / "current/lib/libcdsprpc.so"
    assert link.readlink() == Path("/usr/lib/libcdsprpc.so.1")
    deploy.remote_verify(["bench"], file=bench.file)
    deploy.rollback(["bench"], file=bench.file)
    assert link.is_symlink()
    link.unlink()
    link.symlink_to("/etc/passwd")
    with pytest.raises(DeviceError, match=r"lib/libcdsprpc\.so of .* are damaged"):
        deploy.remote_verify(["bench"], file=bench.file)


def test_every_reason_is_given_at_once(board: boards.Board, bench: Bench, archive: Make) -> None:
    for name in ("architecture", "glibc", "fastrpc"):
        MISMATCHES[name][0](board)
    with pytest.raises(MismatchError) as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert caught.value.what.count("the package needs") == 3
    assert caught.value.remedy.count(": ") >= 3


@pytest.fixture
def searching_board(tmp_path: Path, bench: Bench) -> Iterator[boards.Board]:
    variables = {"DSP_LIBRARY_PATH": "/none;/first", "ADSP_LIBRARY_PATH": "/second"}
    with boards.board(tmp_path / "board", environment=variables) as server:
        server.put("/etc/ssh/authorized_keys", bench.key.with_suffix(".pub").read_text())
        bench.write(bench=bench.device(server))
        yield server


def test_a_skel_of_another_build_on_the_search_path_is_refused(
    searching_board: boards.Board, bench: Bench, archive: Make
) -> None:
    other = packages.elf(packages.HEXAGON, packages.OTHER_BUILD_ID)
    searching_board.put(f"/first/{SKEL}", other)
    searching_board.put(f"/second/{SKEL}", packages.elf(packages.HEXAGON, packages.BUILD_ID))
    with pytest.raises(MismatchError) as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    for part in (packages.BUILD_ID, packages.OTHER_BUILD_ID, f"/first/{SKEL}"):
        assert part in caught.value.what
    assert "DSP_LIBRARY_PATH" in caught.value.remedy
    assert not list(searching_board.data.iterdir())


def test_a_skel_of_the_same_build_is_welcome(
    searching_board: boards.Board, bench: Bench, archive: Make
) -> None:
    searching_board.put(f"/first/{SKEL}", packages.elf(packages.HEXAGON, packages.BUILD_ID))
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert searching_board.current == archive().digest


def test_a_system_skel_of_another_build_is_mentioned(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    other = packages.elf(packages.HEXAGON, packages.OTHER_BUILD_ID)
    board.put(f"/usr/lib/rfsa/adsp/{SKEL}", other)
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert f"is of build {packages.OTHER_BUILD_ID}" in capsys.readouterr().out


def test_a_board_with_its_own_skel_must_have_the_right_one(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    bench.write(bench=bench.device(board, skel="board"))
    with pytest.raises(MismatchError, match="the board has none"):
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    own = f"/usr/lib/rfsa/adsp/{SKEL}"
    board.put(own, packages.elf(packages.HEXAGON, packages.OTHER_BUILD_ID))
    with pytest.raises(MismatchError, match=packages.OTHER_BUILD_ID):
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    board.put(own, packages.elf(packages.HEXAGON, packages.BUILD_ID))
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.current == archive().digest


def test_a_device_declared_to_be_another_is_refused(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    bench.write(bench=bench.device(board, soc="QCS6490"))
    with pytest.raises(MismatchError, match=r"QCS6490 by devices\.toml"):
        deploy.deploy(archive().path, ["bench"], file=bench.file)


def test_a_shut_device_node_is_mentioned(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    (board.root / "dev/fastrpc-cdsp").chmod(0o600)
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert "/dev/fastrpc-cdsp is shut to this user" in capsys.readouterr().out
