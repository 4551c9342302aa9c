"""Boards behind a jump host, each with a key of its own; and what `~/.ssh/config` alone knows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.errors import DeviceError, HostKeyError, UsageError
from tests.device import boards
from tests.device.conftest import Archive, Bench

pytestmark = pytest.mark.device
Make = Callable[..., Archive]


@pytest.fixture
def jump(tmp_path: Path, bench: Bench) -> Iterator[boards.Board]:
    """A second real sshd, whose log-in takes another key than the board's."""
    key = tmp_path / "jump_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with boards.board(tmp_path / "jump") as server:
        server.put("/etc/ssh/authorized_keys", key.with_suffix(".pub").read_text())
        yield server


def through(bench: Bench, board: boards.Board, jump: boards.Board, **changes: object) -> None:
    table = {
        "jump": f"{boards.USER}@127.0.0.1:{jump.port}",
        "jump_host_key": jump.host_key,
        "jump_key": str(bench.key.with_name("jump_key")),
    }
    bench.write(bench=bench.device(board, **(table | changes)))


def log(board: boards.Board) -> str:
    return (board.root / "sshd.log").read_text()


def test_everything_goes_through_the_jump_host(
    board: boards.Board, jump: boards.Board, bench: Bench, archive: Make
) -> None:
    through(bench, board, jump)
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    deploy.remote_verify(["bench"], file=bench.file)
    deploy.status(["bench"], file=bench.file)
    deploy.rollback(["bench"], file=bench.file)
    assert (board.current, board.is_whole(board.current)) == (archive("a").digest, True)
    assert log(jump).count("Accepted publickey") == log(board).count("Accepted publickey") == 5
    assert not list(jump.data.iterdir())


@pytest.mark.parametrize("key", ["SHA256:0000000000000000000000000000000000000000000", None])
def test_a_jump_host_without_its_key_is_not_passed(
    board: boards.Board, jump: boards.Board, bench: Bench, archive: Make, key: str | None
) -> None:
    through(bench, board, jump, jump_host_key=key)
    with pytest.raises(HostKeyError, match="the jump host of bench") as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert jump.host_key in caught.value.what
    assert "Accepted" not in log(jump)
    assert "from 127.0.0.1" not in log(board)


def test_the_board_behind_it_must_show_its_own_key(
    board: boards.Board, jump: boards.Board, bench: Bench, archive: Make
) -> None:
    through(bench, board, jump, host_key=jump.host_key)
    with pytest.raises(HostKeyError, match="bench shows the host key") as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.host_key in caught.value.what
    assert "Accepted" not in log(board)


def test_trust_pins_both_keys_one_after_the_other(
    board: boards.Board, jump: boards.Board, bench: Bench, archive: Make
) -> None:
    through(bench, board, jump, host_key=None, jump_host_key=None)
    questions: list[str] = []

    def yes(question: str) -> bool:
        questions.append(question)
        return True

    assert deploy.trust("bench", yes, file=bench.file) == board.host_key
    assert [jump.host_key in questions[0], board.host_key in questions[1]] == [True, True]
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.current == archive().digest


def test_a_jump_host_that_lets_nobody_in_is_named(
    board: boards.Board, jump: boards.Board, bench: Bench, archive: Make
) -> None:
    through(bench, board, jump, jump_key=str(bench.key))
    with pytest.raises(DeviceError, match=r"the jump host of bench .* refuses to log in") as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert "jump_key" in caught.value.remedy


def test_a_board_that_the_jump_host_cannot_reach_is_named(
    board: boards.Board, jump: boards.Board, bench: Bench, archive: Make
) -> None:
    through(bench, board, jump)
    board.stop()
    with pytest.raises(DeviceError, match=r"bench \(127\.0\.0\.1 port \d+\) cannot be reached"):
        deploy.deploy(archive().path, ["bench"], file=bench.file)


@pytest.mark.parametrize("name", ["kiosk", "gate"])
def test_a_name_that_only_ssh_config_knows_gets_that_sentence(
    board: boards.Board,
    bench: Bench,
    archive: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    config.write_text(f"Host kiosk gate\n  HostName 127.0.0.1\n  Port {board.port}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    changes: dict[str, object] = {"host": "kiosk"}
    if name == "gate":
        changes = {"jump": "ubuntu@gate", "jump_host_key": board.host_key}
    bench.write(bench=bench.device(board, **changes))
    with pytest.raises(DeviceError, match=f"there is no host called {name}") as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert "~/.ssh/config, which is not read" in caught.value.cause
    assert f"ssh -G {name}" in caught.value.remedy


@pytest.mark.parametrize("jump", ["gate", "user@", "user@host:port", "a@b@c", "user@host:22,x@y"])
def test_a_jump_host_is_written_in_one_way(board: boards.Board, bench: Bench, jump: str) -> None:
    bench.write(bench=bench.device(board, jump=jump))
    with pytest.raises(UsageError, match="not user@host:port"):
        deploy.status(["bench"], file=bench.file)
