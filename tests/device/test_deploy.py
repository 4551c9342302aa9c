"""Deployments that reach their board, and what they leave on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.errors import DeviceError, GateError, MismatchError, SignatureError, UsageError
from scripts.package import package, signature
from scripts.pictures.picture_input import PictureInput
from tests import packages
from tests.device import boards
from tests.device.conftest import RUNNER, Archive, Bench

pytestmark = pytest.mark.device
Make = Callable[..., Archive]


def releases(board: boards.Board) -> set[str]:
    return {folder.name for folder in (board.data / "releases").iterdir() if folder.is_dir()}


def test_a_package_comes_into_use(board: boards.Board, bench: Bench, archive: Make) -> None:
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.current == archive().digest
    assert board.is_whole(board.current)
    assert releases(board) == {board.current}
    runner = board.data / "current" / "bin" / "dinov3-run"
    assert (
        board.data / "releases" / board.current / "bin/dinov3-run"
    ).stat().st_mode & 0o777 == 0o755
    assert runner.parent.parent.readlink() == Path("releases") / board.current


def test_a_second_package_only_sends_what_changed(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.deploy(archive("a").path, ["bench"], file=bench.file)
    deploy.deploy(archive("b").path, ["bench"], file=bench.file)
    assert board.current == archive("b").digest
    assert board.is_whole(archive("a").digest)
    assert board.is_whole(archive("b").digest)
    skel = board.data / "releases" / board.current / "lib/libQnnHtpV73Skel.so"
    assert skel.stat().st_nlink == 2
    assert "are there already" in capsys.readouterr().out


def test_the_same_package_again_sends_nothing(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert "on the board already, and whole" in capsys.readouterr().out
    assert board.current == archive().digest
    assert (board.data / "history").read_text().split() == [archive().digest]


def test_rollback_goes_back_step_by_step(board: boards.Board, bench: Bench, archive: Make) -> None:
    for seed in "abc":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    for seed in "ba":
        deploy.rollback(["bench"], file=bench.file)
        assert board.current == archive(seed).digest
    with pytest.raises(DeviceError, match="no release before"):
        deploy.rollback(["bench"], file=bench.file)
    assert board.current == archive("a").digest


def test_a_release_rolled_back_is_not_gone_back_to(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    deploy.rollback(["bench"], file=bench.file)
    deploy.deploy(archive("c").path, ["bench"], file=bench.file)
    deploy.rollback(["bench"], file=bench.file)
    assert board.current == archive("a").digest


def test_rollback_refuses_a_damaged_release(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    context = board.data / "releases" / archive("a").digest / "model"
    next(context.iterdir()).write_bytes(b"other bytes")
    with pytest.raises(DeviceError, match=r"model/.* are damaged"):
        deploy.rollback(["bench"], file=bench.file)
    assert board.current == archive("b").digest


def test_old_releases_are_pruned(board: boards.Board, bench: Bench, archive: Make) -> None:
    bench.write(bench=bench.device(board, keep=1))
    for seed in "abc":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    assert releases(board) == {archive("b").digest, archive("c").digest}


def test_a_damaged_release_is_found_and_mended(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    release = board.data / "releases" / board.current
    (release / "lib/libQnnHtp.so").write_bytes(b"other bytes")
    (release / "surplus file").write_bytes(b"")
    with pytest.raises(DeviceError, match=r"lib/libQnnHtp\.so, surplus file of .* are damaged"):
        deploy.remote_verify(["bench"], file=bench.file)
    place = release.stat().st_ino
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.is_whole(board.current)
    assert release.stat().st_ino == place  # in use, it was never gone
    deploy.remote_verify(["bench"], file=bench.file)


def test_verifying_needs_something_deployed(board: boards.Board, bench: Bench) -> None:
    with pytest.raises(DeviceError, match="Nothing is deployed on bench"):
        deploy.remote_verify(["bench"], file=bench.file)


@pytest.mark.parametrize(
    ("runner", "error", "words"),
    [
        (RUNNER.replace(b"cat golden/output.raw", b"head -c 16 /dev/zero"), GateError, "wrong"),
        (RUNNER.replace(b"cat golden/output.raw", b"printf x"), DeviceError, "1 bytes of output"),
        (b"#!/bin/sh\necho 'no skel found' >&2\nexit 3\n", DeviceError, "no skel found"),
    ],
)
def test_a_network_that_fails_on_the_board_is_not_taken_into_use(
    board: boards.Board,
    bench: Bench,
    archive: Make,
    tmp_path: Path,
    runner: bytes,
    error: type[DeviceError],
    words: str,
) -> None:
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    path = packages.package(tmp_path / "failing", runner=runner, seed="failing")
    with pytest.raises(error, match=words):
        deploy.deploy(path, ["bench"], file=bench.file)
    assert board.current == archive().digest


@pytest.mark.parametrize(
    ("takes", "words"),
    [
        (packages.PLANES, "--input golden/input.raw"),
        (packages.BYTES, "--rgb golden/input.rgb"),
    ],
)
def test_the_runner_is_given_what_the_network_takes(
    board: boards.Board, bench: Bench, tmp_path: Path, takes: PictureInput, words: str
) -> None:
    check = f'case "$*" in *" {words} "*) ;; *) exit 3 ;; esac\n'.encode()
    runner = RUNNER.replace(b"#!/bin/sh\n", b"#!/bin/sh\n" + check)
    path = packages.package(tmp_path / "package", runner=runner, takes=takes)
    deploy.deploy(path, ["bench"], file=bench.file)
    deploy.remote_verify(["bench"], file=bench.file)
    assert board.current == package.check(path).digest


def test_releases_that_failed_do_not_pile_up(
    board: boards.Board, bench: Bench, archive: Make, tmp_path: Path
) -> None:
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    for seed in "xy":
        path = packages.package(tmp_path / seed, runner=b"#!/bin/sh\nexit 3\n", seed=seed)
        with pytest.raises(DeviceError):
            deploy.deploy(path, ["bench"], file=bench.file)
    assert releases(board) == {archive().digest, package.check(path).digest}


def test_a_package_without_runner_is_not_tried(
    board: boards.Board, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.deploy(packages.package(tmp_path / "bare"), ["bench"], file=bench.file)
    assert "is in use, not tried" in capsys.readouterr().out


def test_status_shows_what_is_there(
    board: boards.Board, bench: Bench, archive: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.status(["bench"], file=bench.file)
    assert "nothing" in capsys.readouterr().out
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    capsys.readouterr()
    deploy.status(["bench"], file=bench.file)
    shown = capsys.readouterr().out
    for word in ("dinov3_digits_int8_iq9075", "QCS9075", "2.39", "nobody"):
        assert word in shown
    assert archive("a").digest[:12] in shown
    assert archive("b").digest[:12] in shown


@pytest.fixture
def other_board(tmp_path: Path, bench: Bench) -> Iterator[boards.Board]:
    with boards.board(tmp_path / "other") as server:
        server.put("/etc/ssh/authorized_keys", bench.key.with_suffix(".pub").read_text())
        yield server


def test_many_devices_side_by_side(
    board: boards.Board,
    other_board: boards.Board,
    bench: Bench,
    archive: Make,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench.write(one=bench.device(board), two=bench.device(other_board))
    with bench.file.open("a") as file:
        file.write('[groups]\nall = ["one", "two"]\n')
    deploy.deploy(archive().path, ["all", "one"], file=bench.file)
    assert board.current == other_board.current == archive().digest
    table = capsys.readouterr().out.rpartition("deployment of")[2].splitlines()
    assert [row.split()[0] for row in table[2:]] == ["one", "two"]


def test_one_refusing_device_does_not_stop_the_others(
    board: boards.Board,
    other_board: boards.Board,
    bench: Bench,
    archive: Make,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other_board.fake("uname", "echo x86_64")
    bench.write(one=bench.device(other_board), two=bench.device(board))
    with pytest.raises(MismatchError, match="1 of 2 devices failed"):
        deploy.deploy(archive().path, ["one", "two"], file=bench.file)
    assert (board.current, other_board.current) == (archive().digest, "")
    assert "FAILED: dinov3_digits_int8_iq9075 does not fit one: arch" in capsys.readouterr().out


def test_a_signature_can_be_asked_for(board: boards.Board, bench: Bench, tmp_path: Path) -> None:
    path = packages.package(tmp_path / "signed", runner=RUNNER, seed="signed")
    (tmp_path / "signers").write_text(f"me {bench.key.with_suffix('.pub').read_text()}")
    bench.write(bench=bench.device(board, signers="signers"))
    with pytest.raises(SignatureError, match="is not signed"):
        deploy.deploy(path, ["bench"], file=bench.file)
    assert not list(board.data.iterdir())
    signature.sign(path, bench.key)
    deploy.deploy(path, ["bench"], file=bench.file)
    assert board.is_whole(board.current)


def test_unknown_devices_are_refused(bench: Bench, board: boards.Board, archive: Make) -> None:
    with pytest.raises(UsageError, match="no device 'bnech'"):
        deploy.deploy(archive().path, ["bnech"], file=bench.file)


def test_what_the_board_measured_is_kept_beside_the_simulated_time(
    board: boards.Board,
    bench: Bench,
    archive: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench.write(bench=bench.device(board, perf="burst", npu=1))
    copy = tmp_path / "build" / "digits" / "packages" / archive().path.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(archive().path.read_bytes())
    deploy.deploy(copy, ["bench"], file=bench.file)
    assert "520 us (p99 700, perf burst)" in capsys.readouterr().out
    file = tmp_path / "build/digits/boards/bench.json"
    (run,) = json.loads(file.read_text()).values()
    assert (run["release"], run["simulated"]) == (archive().digest, {"milliseconds": 0.51})
    assert (run["measured"]["p90_us"], run["measured"]["npu"]) == (600, "1")
    deploy.status(["bench"], file=bench.file)
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.index("510 us") < row.index("520 us")
    file.unlink()
    deploy.remote_verify(["bench"], file=bench.file)
    assert json.loads(file.read_text()).keys() == {"dinov3_digits_int8_iq9075"}
