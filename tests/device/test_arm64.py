"""The same on an arm64 Debian: its shell, its coreutils and its OpenSSH answer, through qemu.

Where the kernel cannot do that for one process alone, the board is one of this machine's programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.errors import DeviceError
from tests import packages
from tests.device import arm64, boards
from tests.device.conftest import Archive, Bench, new_bench
from tests.device.test_failures import SIZE, partial, start
from tests.device.wire import wire

pytestmark = pytest.mark.device
Make = Callable[..., Archive]


@pytest.fixture(scope="session")
def userland(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    return arm64.userland(tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="module")
def emulated(
    tmp_path_factory: pytest.TempPathFactory, userland: Path | None
) -> Iterator[tuple[boards.Board, Bench]]:
    """One board for all tests: through qemu every log-in and every hash is slow."""
    folder = tmp_path_factory.mktemp("emulated")
    bench = new_bench(folder)
    with boards.board(folder / "board", userland=userland, emulated=userland is not None) as server:
        server.put("/etc/ssh/authorized_keys", bench.key.with_suffix(".pub").read_text())
        yield server, bench


@pytest.fixture
def board(emulated: tuple[boards.Board, Bench]) -> boards.Board:
    return emulated[0]


@pytest.fixture
def bench(emulated: tuple[boards.Board, Bench]) -> Bench:
    server, bench = emulated
    bench.write(bench=bench.device(server))
    return bench


def test_packages_come_into_use_and_go_back(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
        assert board.current == archive(seed).digest
        assert board.is_whole(board.current)
    deploy.remote_verify(["bench"], file=bench.file)
    deploy.rollback(["bench"], file=bench.file)
    assert board.current == archive("a").digest
    deploy.status(["bench"], file=bench.file)
    assert ("2.36" if board.emulated else "2.39") in capsys.readouterr().out


def test_a_damaged_release_is_found_and_mended(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    (board.data / "current" / "lib" / "libQnnHtp.so").write_bytes(b"other bytes")
    with pytest.raises(DeviceError, match=r"lib/libQnnHtp\.so of .* are damaged"):
        deploy.remote_verify(["bench"], file=bench.file)
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.is_whole(board.current)


def test_a_skel_of_another_build_is_found(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    other = packages.elf(packages.HEXAGON, packages.OTHER_BUILD_ID)
    skel = board.put("/usr/lib/rfsa/adsp/libQnnHtpV73Skel.so", other)
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert f"is of build {packages.OTHER_BUILD_ID}" in capsys.readouterr().out
    skel.unlink()


def test_a_cut_connection_is_taken_up_again(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    new = archive("new", SIZE)
    with wire(board.port, [600_000]) as cutting:
        bench.write(bench=bench.device(board, port=cutting.port))
        deploy.deploy(new.path, ["bench"], file=bench.file)
    assert (board.current, board.is_whole(new.digest)) == (new.digest, True)
    assert "are there already" in capsys.readouterr().out


def test_killed_while_it_sends(board: boards.Board, bench: Bench, archive: Make) -> None:
    deploy.deploy(archive("a").path, ["bench"], file=bench.file)
    new = archive("newer", SIZE)
    deploying = start(bench, new.path)
    boards.until(partial(board, new.digest).is_dir)
    deploying.kill()
    deploying.wait()
    assert (board.current, board.is_whole(board.current)) == (archive("a").digest, True)
    deploy.deploy(new.path, ["bench"], file=bench.file)
    assert (board.current, board.is_whole(board.current)) == (new.digest, True)
