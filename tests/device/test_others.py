"""Boards as others have them: their language, their log-ins, their mounts, clocks and programs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts.boards import board as remote
from scripts.errors import DeviceError, MismatchError
from tests.device import boards, system
from tests.device.conftest import Archive, Bench
from tests.device.test_login import DEPLOY

pytestmark = pytest.mark.device
Make = Callable[..., Archive]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.fixture
def make(tmp_path: Path, bench: Bench) -> Iterator[Callable[..., boards.Board]]:
    """Return a maker of boards with the programs of a Debian, each known to the bench by name."""
    tables = {}
    with ExitStack() as stack:

        def maker(
            name: str = "bench", *, files: dict[str, str] | None = None, **how: object
        ) -> boards.Board:
            root = tmp_path / name
            board = stack.enter_context(boards.board(root, userland=system.debian(), **how))  # type: ignore[arg-type]
            board.put("/etc/ssh/authorized_keys", bench.key.with_suffix(".pub").read_text())
            for path, text in (files or {}).items():
                board.put(path, text)
            tables[name] = bench.device(board)
            bench.write(**tables)
            return board

        yield maker


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def whole_round(board: boards.Board, bench: Bench, archive: Make) -> None:
    """Deploy twice, verify, look, go back."""
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    deploy.remote_verify(["bench"], file=bench.file)
    deploy.status(["bench"], file=bench.file)
    deploy.rollback(["bench"], file=bench.file)
    assert (board.current, board.is_whole(board.current)) == (archive("a").digest, True)


def test_a_board_that_speaks_german(
    make: Callable[..., boards.Board], bench: Bench, archive: Make
) -> None:
    german = {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "LANGUAGE": "de"}
    board = make(environment=german)
    board.put("/tmp/sums", f"{64 * '0'}  /etc/passwd\n")
    check = ["chroot", str(board.root), "sha256sum", "-c", "/tmp/sums"]
    done = subprocess.run(check, env=german | {"PATH": PATH}, capture_output=True, check=False)
    assert b"FEHLSCHLAG" in done.stdout  # its programs do speak it
    whole_round(board, bench, archive)
    (board.data / "current/lib/libQnnHtp.so").write_bytes(b"other bytes")
    with pytest.raises(DeviceError, match=r"lib/libQnnHtp\.so of .* are damaged"):
        deploy.remote_verify(["bench"], file=bench.file)
    deploy.deploy(archive("a").path, ["bench"], file=bench.file)
    assert board.is_whole(board.current)


def test_a_log_in_that_prints(
    make: Callable[..., boards.Board], bench: Bench, archive: Make
) -> None:
    text = 'echo "Welcome to $(hostname)"; echo "release\tx" >&2; printf "current\\tnowhere"\n'
    board = make(shell="/bin/bash", files={"/.bashrc": text})
    greeting = subprocess.run(
        ["ssh", "-F", "none", "-i", str(bench.key), "-p", str(board.port), "-o",
         "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         f"{boards.USER}@127.0.0.1", "true"], capture_output=True, check=True,
    )  # fmt: skip
    assert b"Welcome" in greeting.stdout
    whole_round(board, bench, archive)


NONSENSE = {
    "leaves": ("exit 0", "its log-in"),
    "fails": ("exit 7", "failed"),
    "never_ends": ("while :; do echo Welcome to this board; done", "answers more than"),
    "waits": ("sleep 1000", "has not answered"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_log_in_that_makes_no_sense_is_that_boards_error(
    make: Callable[..., boards.Board],
    bench: Bench,
    archive: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    text, words = NONSENSE[kind]
    if kind == "waits":
        monkeypatch.setattr(remote, "SECONDS", 8.0)
    ill = make("ill", shell="/bin/bash", files={"/.bashrc": f"{text}\n"})
    well = make("well")
    with pytest.raises(DeviceError, match="1 of 2 devices failed") as caught:
        deploy.deploy(archive().path, ["ill", "well"], file=bench.file)
    assert words in str(caught.value)
    assert (well.current, well.is_whole(well.current)) == (archive().digest, True)
    assert not list(ill.data.iterdir())  # not a byte was sent
    assert capsys.readouterr().out.count("FAILED") == 1


PROGRAMS = {
    # It hashes a file that it is given by name, and dies when it is to check a list or read a
    # stream: who takes its silence for "nothing is damaged" sees no fault.
    "sha256sum": "[ $# -ne 1 ] || exec /usr/bin/sha256sum $1; kill -9 $$",
    "find": "echo Permission denied",
    "readlink": "echo /opt/other",
    "wc": "echo many",
    "df": "echo; echo fs 0 0 many",
    "mktemp": "kill -9 $$",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_board_that_makes_no_sense(
    make: Callable[..., boards.Board], bench: Bench, archive: Make, program: str
) -> None:
    board, well = make("ill"), make("well")
    for name in ("ill", "well"):
        deploy.deploy(archive("a").path, [name], file=bench.file)
    board.fake(program, PROGRAMS[program])
    with pytest.raises(DeviceError, match="1 of 2 devices failed"):
        deploy.deploy(archive("b").path, ["ill", "well"], file=bench.file)
    assert (board.current, board.is_whole(board.current)) == (archive("a").digest, True)
    assert well.current == archive("b").digest


@pytest.mark.parametrize(
    ("options", "words", "fix"),
    [("ro", "read-only", "remount,rw"), ("noexec,mode=0777", "noexec", "remount,exec")],
)
def test_a_mount_that_does_not_serve_is_named_before_the_upload(
    make: Callable[..., boards.Board],
    bench: Bench,
    archive: Make,
    options: str,
    words: str,
    fix: str,
) -> None:
    board = make()
    with mounted(board.data, options):
        with pytest.raises(MismatchError) as caught:
            deploy.deploy(archive().path, ["bench"], file=bench.file)
        assert not list(board.data.iterdir())
    assert words in caught.value.what
    assert fix in caught.value.remedy


def test_a_full_home_is_in_nobodys_way(
    make: Callable[..., boards.Board], bench: Bench, archive: Make
) -> None:
    board = make(home="/home/ubuntu", shell="/bin/bash")
    home = board.root / "home/ubuntu"
    with mounted(home, "size=4m,mode=0777"):
        with pytest.raises(OSError, match="No space"):
            (home / "photographs").write_bytes(bytes(8_000_000))
        whole_round(board, bench, archive)
        bench.write(bench=bench.device(board, path="/home/ubuntu/dinov3"))
        with pytest.raises(MismatchError, match="disk space"):
            deploy.deploy(archive().path, ["bench"], file=bench.file)
        assert not (home / "dinov3").exists()


def test_going_back_needs_no_room(
    make: Callable[..., boards.Board], bench: Bench, archive: Make
) -> None:
    board = make()
    with mounted(board.data, "size=6m,mode=0777"):
        for seed in "ab":
            deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
        with pytest.raises(OSError, match="No space"):
            (board.data / "photographs").write_bytes(bytes(8_000_000))
        deploy.rollback(["bench"], file=bench.file)
        assert (board.current, board.is_whole(board.current)) == (archive("a").digest, True)


def test_a_clock_in_1970(make: Callable[..., boards.Board], bench: Bench, archive: Make) -> None:
    clock = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME": "1970-01-01 00:00:10",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    board = make(environment=clock)
    if not (board.root / FAKETIME.lstrip("/")).exists():
        pytest.skip("libfaketime is elsewhere on this architecture")
    year = ["chroot", str(board.root), "date", "+%Y"]
    assert (
        subprocess.run(year, env=clock | {"PATH": PATH}, capture_output=True, check=True).stdout
        == b"1970\n"
    )
    whole_round(board, bench, archive)


def test_a_user_without_a_name(board: boards.Board, bench: Bench, archive: Make) -> None:
    """As in a container of CI that runs as some number: no account, no HOME, no USER."""
    keep = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    command = ["setpriv", "--reuid", "4242", "--clear-groups", *keep, sys.executable, "-c", DEPLOY]
    done = subprocess.run(
        [*command, str(archive().path), str(bench.file)],
        env={"PATH": os.environ["PATH"], "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert board.current == archive().digest


def test_busybox_hashes_by_itself(board: boards.Board, bench: Bench, archive: Make) -> None:
    for program in ("sha256sum", "find", "mv", "sed", "timeout", "head"):
        assert (board.root / "bin" / program).readlink() == Path("busybox")
    whole_round(board, bench, archive)


def test_folders_of_others_stay(board: boards.Board, bench: Bench, archive: Make) -> None:
    bench.write(bench=bench.device(board, keep=1))
    foreign = [board.data / "releases" / name for name in ("backup", "v1.2.partial", "x.removed")]
    for folder in foreign:
        folder.mkdir(parents=True)
        (folder / "file").write_text("not ours")
    (board.data / "releases").chmod(0o777)
    for seed in "abc":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    assert not (board.data / "releases" / archive("a").digest).exists()
    assert all((folder / "file").exists() for folder in foreign)


def test_a_current_of_somebody_else_is_left_alone(
    board: boards.Board, bench: Bench, archive: Make
) -> None:
    (board.data / "current").symlink_to("/opt/other/v2")
    with pytest.raises(DeviceError, match=r"a link to /opt/other/v2, and none of our releases"):
        deploy.deploy(archive().path, ["bench"], file=bench.file)
    assert [path.name for path in board.data.iterdir()] == ["current"]


def test_a_board_that_stands_still_is_not_waited_for(
    board: boards.Board, bench: Bench, archive: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in "ab":
        deploy.deploy(archive(seed).path, ["bench"], file=bench.file)
    board.fake("sync", "sleep 1000")
    monkeypatch.setattr(remote, "SECONDS", 3.0)
    started = asyncio.new_event_loop().time()
    with pytest.raises(DeviceError, match="has not answered a command for 3 s"):
        deploy.rollback(["bench"], file=bench.file)
    assert asyncio.new_event_loop().time() - started < 60
    assert board.is_whole(board.current)
