"""Who is let in, whose key is believed, and that no secret is left anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.errors import DeviceError, HostKeyError, UsageError
from tests.device import boards
from tests.device.conftest import Archive, Bench

pytestmark = pytest.mark.device
Make = Callable[..., Archive]
DEPLOY = "import sys; from pathlib import Path; from scripts import boards as deploy; "
DEPLOY += "deploy.deploy(Path(sys.argv[1]), ['bench'], file=Path(sys.argv[2]))"


def by_password(bench: Bench, board: boards.Board) -> None:
    bench.write(bench=bench.device(board, key=None, password_env="BENCH_PASSWORD"))


def test_a_password_from_the_environment(
    board: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_password(bench, board)
    monkeypatch.setenv("BENCH_PASSWORD", boards.PASSWORD)
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.current == archive().digest


def test_a_password_from_a_prompt(
    board: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write(bench=bench.device(board, key=None, password_prompt=True))
    monkeypatch.setattr("getpass.getpass", lambda prompt: boards.PASSWORD)
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.current == archive().digest


def test_a_wrong_password_is_refused_and_not_repeated(
    board: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_password(bench, board)
    monkeypatch.setenv("BENCH_PASSWORD", "a wrong one")
    with pytest.raises(DeviceError, match="refuses to log in ubuntu") as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert "a wrong one" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(
    board: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_password(bench, board)
    monkeypatch.delenv("BENCH_PASSWORD", raising=False)
    with pytest.raises(
        UsageError, match="password_env is BENCH_PASSWORD, a variable that is not set"
    ):
        deploy.deploy(archive().path, ["bench"], file=bench.file)


def test_a_key_of_the_agent(
    board: boards.Board,
    bench: Bench,
    archive: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")])
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    monkeypatch.setenv("HOME", str(tmp_path))
    try:
        boards.until((tmp_path / "agent").is_socket)
        subprocess.run(["ssh-add", "-q", str(bench.key)], check=True)
        bench.write(bench=bench.device(board, key=None))
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    finally:
        agent.terminate()
        agent.wait()
    assert board.current == archive().digest


def test_a_strangers_key_is_refused(
    board: boards.Board, bench: Bench, archive: Make, tmp_path: Path
) -> None:
    key = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    bench.write(bench=bench.device(board, key=str(key)))
    with pytest.raises(DeviceError, match="refuses to log in"):
        deploy.deploy(archive().path, ["bench"], file=bench.file)


def test_an_unknown_host_key_stops_it(board: boards.Board, bench: Bench, archive: Make) -> None:
    bench.write(bench=bench.device(board, host_key=None))
    with pytest.raises(HostKeyError, match="not known yet") as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.host_key in caught.value.what
    assert "Accepted" not in (board.root / "sshd.log").read_text()


def test_a_changed_host_key_stops_it_before_the_log_in(
    board: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = board.host_key
    by_password(bench, board)
    monkeypatch.setenv("BENCH_PASSWORD", boards.PASSWORD)
    board.stop()
    board.new_host_key()
    board.start()
    with pytest.raises(HostKeyError) as caught:
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert before in caught.value.what
    assert board.host_key in caught.value.what
    log = (board.root / "sshd.log").read_text()
    assert "Accepted" not in log
    assert "Failed password" not in log
    assert not list(board.data.iterdir())


def test_trust_shows_the_fingerprint_and_writes_it(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    bench.write(bench=bench.device(board, host_key=None))
    prompts: list[str] = []

    def yes(question: str) -> bool:
        prompts.append(question)
        return True

    assert deploy.trust("bench", yes, file=bench.file) == board.host_key
    assert board.host_key in prompts[0]
    deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert board.current == archive().digest


def test_a_key_that_is_not_confirmed_is_not_written(board: boards.Board, bench: Bench) -> None:
    bench.write(bench=bench.device(board, host_key=None))
    before = bench.file.read_text()
    with pytest.raises(HostKeyError, match="stays as it was"):
        deploy.trust("bench", lambda question: False, file=bench.file)
    assert bench.file.read_text() == before


def test_a_board_that_is_off_is_named(bench: Bench, board: boards.Board, archive: Make) -> None:
    board.stop()
    with pytest.raises(DeviceError, match=rf"bench \(127\.0\.0\.1 port {board.port}\) cannot be"):
        deploy.deploy(archive().path, ["bench"], file=bench.file)


def test_no_secret_is_left_anywhere(board: boards.Board, bench: Bench, archive: Make) -> None:
    by_password(bench, board)
    environment = {**os.environ, "BENCH_PASSWORD": boards.PASSWORD, "PYTHONASYNCIODEBUG": "1"}
    command = [sys.executable, "-c", DEPLOY, str(archive(size=4_000_000).path), str(bench.file)]
    deploying = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    listings = 0
    while deploying.poll() is None:
        assert boards.PASSWORD.encode() not in process_list()
        listings += 1
    assert deploying.stdout is not None
    said = deploying.stdout.read()
    assert (deploying.returncode, listings > 5) == (0, True), said
    secret = boards.PASSWORD.encode()
    assert secret not in said
    assert secret not in archive().path.read_bytes()
    assert secret not in bench.file.read_bytes()
    for file in board.root.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert secret not in file.read_bytes(), file


def process_list() -> bytes:
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return b"\n".join(lines)
