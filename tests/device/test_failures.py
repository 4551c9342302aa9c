"""Everything that can go wrong on the way: after each, `current` is the old or the new release.

Both are always whole, whatever was cut, killed, filled up or damaged.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.boards import install, lock
from scripts.errors import DeviceError, TransferError
from tests.device import boards
from tests.device.conftest import Archive, Bench
from tests.device.test_login import DEPLOY
from tests.device.wire import wire

pytestmark = pytest.mark.device
Make = Callable[..., Archive]
SIZE = 200_000


@pytest.fixture
def deployed(board: boards.Board, bench: Bench, archive: Make) -> boards.Board:
    """A board with an old release in use."""
    deploy.deploy(archive("old").path, ["bench"], file=bench.file)
    return board


def partial(board: boards.Board, digest: str) -> Path:
    return board.data / "releases" / f"{digest}.partial"


def start(bench: Bench, path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DEPLOY, str(path), str(bench.file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("cut", range(2_000, 1_100_000, 150_000))
def test_a_connection_cut_anywhere_is_taken_up_again(
    deployed: boards.Board, bench: Bench, archive: Make, cut: int
) -> None:
    new = archive("new", SIZE)
    with wire(deployed.port, [cut]) as cutting:
        bench.write(bench=bench.device(deployed, port=cutting.port))
        try:
            deploy.deploy(new.path, ["bench"], file=bench.file)
        except DeviceError as error:
            assert cut < 5_000, error  # cut while logging in: that is not tried again
            assert deployed.current == archive("old").digest
            deploy.deploy(new.path, ["bench"], file=bench.file)
    assert deployed.current == new.digest
    assert deployed.is_whole(new.digest)
    assert deployed.is_whole(archive("old").digest)


def test_what_has_arrived_is_not_sent_again(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    new = archive("new", SIZE)
    cuts = [200_000, 400_000, 200_000]
    with wire(deployed.port, cuts) as cutting:
        bench.write(bench=bench.device(deployed, port=cutting.port))
        deploy.deploy(new.path, ["bench"], file=bench.file)
    unpacked = sum(f.stat().st_size for f in (deployed.data / "current").rglob("*") if f.is_file())
    assert deployed.is_whole(new.digest)
    assert len(cutting.sent) == 4
    # What was on its way to the board when the wire was cut is sent again, but never all of it.
    assert sum(cutting.sent) < unpacked + sum(cuts)


def test_a_connection_that_keeps_breaking_is_given_up(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    new = archive("new", SIZE)
    with wire(deployed.port, [100_000] * 20) as cutting:
        bench.write(bench=bench.device(deployed, port=cutting.port))
        with pytest.raises(TransferError, match="connection to bench was lost"):
            deploy.deploy(new.path, ["bench"], file=bench.file)
        assert len(cutting.sent) == install.ATTEMPTS
    assert deployed.current == archive("old").digest
    assert partial(deployed, new.digest).is_dir()


def test_a_byte_flipped_on_the_board_before_resuming_is_noticed(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    new = archive("new", SIZE)
    interrupt(deployed, bench, new)
    for file in partial(deployed, new.digest).rglob("*"):
        if file.is_file() and file.stat().st_nlink == 1 and file.stat().st_size:
            content = bytearray(file.read_bytes())
            content[0] ^= 1
            file.write_bytes(content)
    deploy.deploy(new.path, ["bench"], file=bench.file)
    assert deployed.is_whole(new.digest)
    assert deployed.is_whole(archive("old").digest)


def interrupt(board: boards.Board, bench: Bench, new: Archive) -> None:
    """Leave an upload unfinished."""
    with pytest.MonkeyPatch.context() as patch, wire(board.port, [400_000]) as cutting:
        patch.setattr(install, "ATTEMPTS", 1)
        bench.write(bench=bench.device(board, port=cutting.port))
        with pytest.raises(TransferError):
            deploy.deploy(new.path, ["bench"], file=bench.file)
    bench.write(bench=bench.device(board))


def test_leftovers_of_strangers_in_an_upload_are_dropped(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    new = archive("new", SIZE)
    interrupt(deployed, bench, new)
    (partial(deployed, new.digest) / "surplus").write_text("x")
    deploy.deploy(new.path, ["bench"], file=bench.file)
    assert deployed.is_whole(new.digest)


FLIP = r"""
for file in releases/*.partial/model/*.bin model/*.bin; do
    [ -e "$file" ] && [ ! -e {once} ] && printf X | dd of="$file" bs=1 seek=9 conv=notrunc
done 2>/dev/null
: >>{flag}
"""


def test_a_byte_flipped_on_the_way_is_sent_again(
    deployed: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    new = archive("new", SIZE)
    flip = FLIP.format(once="/tmp/flipped", flag="/tmp/flipped")
    deployed.fake("sha256sum", f"case $PWD in *.partial) {flip};; esac\nexec /bin/sha256sum")
    interruptions = capsys.readouterr
    deploy.deploy(new.path, ["bench"], file=bench.file)
    assert deployed.is_whole(new.digest)
    assert "damaged on the board, sent again: model/" in interruptions().out


def test_a_board_that_damages_every_file_is_given_up(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    new = archive("new", SIZE)
    flip = FLIP.format(once="/never", flag="/tmp/flipped")
    deployed.fake("sha256sum", f"case $PWD in *.partial) {flip};; esac\nexec /bin/sha256sum")
    with pytest.raises(TransferError, match="arrived damaged on bench, twice"):
        deploy.deploy(new.path, ["bench"], file=bench.file)
    assert deployed.current == archive("old").digest
    assert deployed.is_whole(deployed.current)


def test_a_damaged_release_does_not_spread(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    library = deployed.data / "current/lib/libQnnHtp.so"
    library.write_bytes(bytes(library.stat().st_size))
    deploy.deploy(archive("b").path, ["bench"], file=bench.file)
    assert deployed.is_whole(archive("b").digest)


@pytest.fixture
def small_disk(board: boards.Board) -> Iterator[Path]:
    """Put the board's folder of releases on a file system of its own, of 6 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0777", "tmpfs", str(board.data)]
    subprocess.run(mount, check=True)
    yield board.data
    subprocess.run(["umount", "--lazy", str(board.data)], check=True)


def test_a_disk_that_fills_up_on_the_way(
    small_disk: Path, board: boards.Board, bench: Bench, archive: Make
) -> None:
    deploy.deploy(archive("old").path, ["bench"], file=bench.file)
    board.fake("df", "echo header; echo fs 0 0 99999999 0%")  # as it was before others wrote
    (small_disk / "others").write_bytes(bytes(5_300_000))
    with pytest.raises(DeviceError, match="disk of bench is full"):
        deploy.deploy(archive("new", SIZE).path, ["bench"], file=bench.file)
    assert board.current == archive("old").digest
    assert board.is_whole(board.current)
    (small_disk / "others").unlink()
    deploy.deploy(archive("new", SIZE).path, ["bench"], file=bench.file)
    assert board.is_whole(archive("new", SIZE).digest)


def killed_after(board: boards.Board, bench: Bench, new: Archive, sent: float) -> tuple[int, int]:
    """Deploy, and kill it once it has sent so many bytes; return its exit code and the bytes."""
    with wire(board.port) as cable:
        bench.write(bench=bench.device(board, port=cable.port))
        deploying = start(bench, new.path)
        while deploying.poll() is None and sum(cable.sent) < sent:
            time.sleep(0.001)
        deploying.kill()
        deploying.communicate()
    bench.write(bench=bench.device(board))
    return deploying.returncode, sum(cable.sent)


def test_killed_at_any_moment(deployed: boards.Board, bench: Bench, archive: Make) -> None:
    """Moments are bytes sent, which no busy machine moves; every other turn begins from nothing."""
    old, new, moments = archive("old").digest, archive("new", SIZE), random.Random(0)
    code, everything = killed_after(deployed, bench, new, float("inf"))
    assert (code, deployed.current) == (0, new.digest)
    deploy.rollback(["bench"], file=bench.file)
    killed = 0
    for turn in range(6):
        if turn % 2 == 0:
            for folder in (deployed.data / "releases" / new.digest, partial(deployed, new.digest)):
                shutil.rmtree(folder, ignore_errors=True)
        code, _ = killed_after(deployed, bench, new, moments.random() * everything)
        killed += code == -signal.SIGKILL
        assert deployed.current in (old, new.digest)
        assert deployed.is_whole(deployed.current)
        if deployed.current == new.digest:
            deploy.rollback(["bench"], file=bench.file)
            assert deployed.current == old
    assert killed >= 3
    deploy.deploy(new.path, ["bench"], file=bench.file)
    assert deployed.is_whole(new.digest)


def test_interrupted_by_the_user(deployed: boards.Board, bench: Bench, archive: Make) -> None:
    deployed.fake("sync", "sleep 1")
    deploying = start(bench, archive("new", SIZE).path)
    boards.until(partial(deployed, archive("new", SIZE).digest).is_dir)
    deploying.send_signal(signal.SIGINT)
    deploying.wait(timeout=60)
    assert deployed.current in {archive("old").digest, archive("new", SIZE).digest}
    assert deployed.is_whole(deployed.current)
    deploy.deploy(archive("new", SIZE).path, ["bench"], file=bench.file)
    assert deployed.is_whole(archive("new", SIZE).digest)


def test_deployments_at_once_take_turns(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    news = [
        archive("one", SIZE),
        archive("two", SIZE),
        archive("two", SIZE),
        archive("three", SIZE),
    ]
    running = [start(bench, new.path) for new in news]
    said = [process.communicate()[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], said
    assert deployed.current in {new.digest for new in news}
    for new in news:
        assert deployed.is_whole(new.digest)
    assert any("another deployment is under way" in text for text in said)
    assert not list((deployed.data / "releases").glob("*.partial"))


def test_a_waiting_deployment_says_for_whom(
    deployed: boards.Board, bench: Bench, archive: Make
) -> None:
    deployed.fake("sync", "sleep 1")
    first = start(bench, archive("one", SIZE).path)
    boards.until((deployed.data / ".lock.owner").exists)
    second = start(bench, archive("two", SIZE).path)
    said = second.communicate()[0].decode()
    first.wait()
    assert f"process {first.pid}" in said
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_frozen_connection_does_not_hold_the_lock_for_ever(
    deployed: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.fake("timeout", 'shift\nexec /bin/timeout 4 "$@"')
    monkeypatch.setattr(lock, "SECONDS_BETWEEN_BEATS", 0.5)
    new = archive("new", SIZE)
    with wire(deployed.port, [400_000] * 10) as cutting:
        cutting.freeze = True
        bench.write(bench=bench.device(deployed, port=cutting.port))
        frozen = start(bench, new.path)
        boards.until(lambda: max(cutting.sent, default=0) >= 400_000)
        bench.write(bench=bench.device(deployed))
        deploy.deploy(new.path, ["bench"], file=bench.file)
        frozen.kill()
        frozen.wait()
    assert deployed.current == new.digest
    assert deployed.is_whole(new.digest)
