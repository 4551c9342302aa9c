"""The scripts that are sent, run here by every shell there is; what they believe and refuse."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from pathlib import Path

import pytest

from scripts.boards import releases, shell
from scripts.boards.board import Outcome, command
from scripts.boards.survey import survey
from scripts.boards.upload import damages
from scripts.errors import ArtefactError, DeviceError, TransferError
from tests.unit.boards.local import Local, is_whole, release, shells

SCRIPTS = sorted(path.name for path in (Path(shell.__file__).parent).glob("*.sh"))


@pytest.fixture(params=shells(), ids=lambda shell: shell[0])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Local:
    (tmp_path / "board").mkdir()
    return Local(tmp_path / "board", request.param)


def test_releases_come_and_go(board: Local) -> None:
    root = Path(board.device.path)
    a, b = release(board, "a", ".partial"), release(board, "b", ".partial")
    for digest, histories in ((a, ([a], [a])), (b, ([a, b], [a, b]))):
        asyncio.run(releases.commit(board, digest))
        asyncio.run(releases.activate(board, digest, *histories))
        assert (root / "current").readlink() == Path("releases") / digest
    (root / "releases/backup").mkdir()
    there = asyncio.run(survey(board))
    assert (there.current, there.history, set(there.names)) == (b, (a, b), {a, b})
    assert there.releases[a].keys() == {"bin/run", "lib/libskel.so", "same"}
    asyncio.run(releases.activate(board, a, [], releases.retreat(there, a)))
    assert asyncio.run(releases.prune(board, asyncio.run(survey(board)))) == [b]
    assert is_whole(board, a)
    assert (root / "releases/backup").is_dir()


def test_an_upload_is_prepared_received_and_checked(board: Local) -> None:
    a, root = release(board, "a"), Path(board.device.path)
    digest = 64 * "9"
    orders = [shell.order("folder", "lib"), shell.order("link", f"{a}/bin/run", "lib/run")]
    asyncio.run(board.run("prepare.sh", str(root), digest, orders=orders))
    upload = root / "releases" / f"{digest}.partial"
    for offset, pieces in (("0", [b"one ", b"two"]), ("7", [b" three"])):
        asyncio.run(board.feed("receive.sh", str(upload), "lib/file", offset, pieces=pieces))
    with pytest.raises(DeviceError, match="no longer has 7 bytes"):
        asyncio.run(board.feed("receive.sh", str(upload), "lib/file", "7", pieces=[b"x"]))
    assert (upload / "lib/file").read_text() == "one two three"
    asyncio.run(board.feed("receive.sh", str(upload), "lib/run", "0", pieces=[b"new"]))
    assert is_whole(board, a)  # what was linked to it is another file now
    parts = asyncio.run(survey(board, digest, locked=True)).parts
    assert (parts["lib/file"][0], set(parts)) == (13, {"lib/file", "lib/run"})
    orders = [shell.order("mode", "0755", "lib/file"), shell.order("file", "lib/file")]
    (upload / "lib/libcdsprpc.so").symlink_to("/usr/lib/libcdsprpc.so.1")
    orders += [shell.order("link", "lib/libcdsprpc.so")]
    answer = asyncio.run(board.run("check.sh", str(upload), orders=orders))
    assert (upload / "lib/file").stat().st_mode & 0o777 == 0o755
    links = {"lib/libcdsprpc.so": "libcdsprpc.so."}
    hashes = {"lib/file": parts["lib/file"][1], "lib/run": parts["lib/run"][1]}
    assert damages(answer, hashes, links) == ["lib/run"]  # its hash was not asked for
    assert damages(answer, {"lib/file": hashes["lib/file"]}, links) == ["lib/run"]  # surplus
    assert damages(answer, hashes, {}) == ["lib/libcdsprpc.so", "lib/run"]


ODD = ["a b", "a\tb", "a\nb", "x\n.", "\N{SNOWMAN}", "-rf", "$(reboot)"]


@pytest.mark.parametrize("name", ODD)
def test_a_strange_name_is_surplus_and_no_order(board: Local, name: str) -> None:
    digest, root = release(board, "a"), Path(board.device.path)
    folder = root / "releases" / digest
    (folder / name).mkdir()
    (folder / name / "same").write_text("x")
    (folder / f"{name}2").write_text("x")
    paths = ["bin/run", "lib/libskel.so", "same", "SHA256SUMS"]
    orders = [shell.order("file", path) for path in paths]
    answer = asyncio.run(board.run("check.sh", str(folder), orders=orders))
    sums = {path: digest for digest, path in shell.rows(answer, {"sum": 2, "there": 1})["sum"]}
    assert damages(answer, sums, {})
    assert damages(answer, sums, {}) != damages(answer, dict.fromkeys(sums, ""), {})


BAD = [
    "",
    "/etc/x",
    "../x",
    "a/../b",
    "./a",
    "a//b",
    "a/",
    "-rf",
    "a b",
    "a\tb",
    "a\nb",
    "a'b",
    "*",
]


@pytest.mark.parametrize("name", BAD)
def test_names_are_refused_on_this_side(name: str) -> None:
    with pytest.raises(ArtefactError, match="is no name"):
        shell.order("drop", name)


@pytest.mark.parametrize("name", [name for name in BAD if not {*name} & {*"\t\n"}])
def test_names_are_refused_on_the_board(board: Local, name: str, tmp_path: Path) -> None:
    root = board.device.path
    release(board, "a", ".partial")
    victim = tmp_path / "victim"
    victim.write_text("x")
    for script, arguments, line in (
        ("prepare.sh", [root, 64 * "9"], f"drop\t{name}"),
        ("prepare.sh", [root, 64 * "9"], f"link\tsame\t{name}"),
        ("prepare.sh", [root, 64 * "9"], f"folder\t{name}"),
        ("check.sh", [root], f"mode\t0644\t{name}"),
        ("check.sh", [root], f"file\t{name}"),
        ("prune.sh", [root], f"remove\t{name}"),
        ("links.sh", [root], f"link\t{name}\tbin/sh"),
    ):
        with pytest.raises(DeviceError, match="of ours"):
            asyncio.run(board.run(script, *arguments, orders=[line]))
    with pytest.raises(DeviceError, match="of ours"):
        asyncio.run(board.feed("receive.sh", root, name, "0", pieces=[b"x"]))
    assert victim.read_text() == "x"


def test_an_order_in_a_name_is_no_order(board: Local, tmp_path: Path) -> None:
    """As by an archive whose member is called `x<newline>drop<tab>/abs/file`."""
    victim = tmp_path / "victim"
    victim.write_text("x")
    for line in (f"keep\tx\ndrop\t{victim}", f"unlink\t{victim}"):
        with pytest.raises(DeviceError, match=r"of ours|no order"):
            asyncio.run(board.run("prepare.sh", board.device.path, 64 * "9", orders=[line]))
    assert victim.exists()


def test_what_is_in_use_is_never_removed(board: Local) -> None:
    digest, root = release(board, "a"), Path(board.device.path)
    (root / "current").symlink_to(f"releases/{digest}")
    with pytest.raises(DeviceError, match="in use"):
        asyncio.run(board.run("prune.sh", str(root), orders=[f"remove\t{digest}"]))
    assert is_whole(board, digest)


class Deaf(Local):
    """A board whose orders are cut short, at the byte `length`."""

    length = 0

    def _run(self, line: str, content: bytes) -> Outcome:
        return super()._run(line, content[: self.length])


def test_orders_cut_anywhere_do_nothing(tmp_path: Path) -> None:
    board = Deaf(tmp_path / "board", keep=1)
    a, b = release(board, "a"), release(board, "b")
    root = Path(board.device.path)
    (root / "current").symlink_to(f"releases/{a}")
    (root / "history").write_text(f"{a}\n")
    orders = [*(f"before\t{name}" for name in (a, b)), *(f"after\t{name}" for name in (a, b))]
    for board.length in range(0, len(shell.document(orders)), 7):
        with pytest.raises(DeviceError, match="orders have no end"):
            asyncio.run(releases.activate(board, b, [a, b], [a, b]))
        assert (root / "current").readlink().name == a
        assert (root / "history").read_text() == f"{a}\n"


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "prelude.sh"])
def test_every_script_speaks_one_language_and_is_understood(board: Local, name: str) -> None:
    """The shells check its syntax; what it prints lies between marks that are never the same."""
    script = shell.rendered(name)
    assert shlex.split(command(script, ["a b"]))[-1] == "a b"
    first, second = script.text.splitlines()[2:4]
    assert (first, second) == ("LC_ALL=C", "export LC_ALL")
    assert script.begin not in script.text.encode()
    assert script.begin != shell.rendered(name).begin
    subprocess.run([*board._shell, "-n", "-c", script.text], check=True)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (b"Welcome!\n", "its log-in"),
        (b"", "its log-in"),
        (b"{begin}release\tx\n", "no end"),
        (b"{end}{begin}", "no end"),
    ],
)
def test_an_answer_without_its_marks_is_none(output: bytes, words: str) -> None:
    script = shell.rendered("survey.sh")
    output = output.replace(b"{begin}", script.begin).replace(b"{end}", script.end)
    with pytest.raises(DeviceError) as caught:
        script.answer(output)
    assert words in caught.value.cause


def test_what_a_log_in_prints_is_left_out() -> None:
    script = shell.rendered("read.sh")
    answer = b"\0\xff\nbytes " + script.begin.replace(b"begin", b"begun")
    output = b"Welcome!\nno newline" + script.begin + answer + script.end + b"Bye!\n"
    assert script.answer(output) == answer


def test_a_program_of_the_board_that_fails_is_no_hash(board: Local, tmp_path: Path) -> None:
    """As where the kernel ends it for want of memory, or its disk gives no bytes."""
    digest = release(board, "a")
    folder = f"{board.device.path}/releases/{digest}"
    for body in ("kill -9 $$", "exit 1", "exit 0", f"echo {64 * '0'}", "echo FEHLSCHLAG"):
        program = tmp_path / "bin" / "sha256sum"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        failing = Local(
            Path(board.device.path), ("dash",), {"PATH": f"{program.parent}:/usr/bin:/bin"}
        )
        answer = asyncio.run(failing.run("check.sh", folder, orders=["file\tsame"]))
        assert "same" in damages(answer, {"same": 64 * "1"}, {})


def test_text_for_a_terminal_steers_it_no_more() -> None:
    assert (
        shell.printable(b"\x1b[2Jgone\r\nline\ttab\xff")
        == "?[2Jgone\nline    tab\N{REPLACEMENT CHARACTER}"
    )


def test_an_ended_connection_is_no_answer(tmp_path: Path) -> None:
    class Ended(Local):
        def _run(self, line: str, content: bytes) -> Outcome:
            return Outcome(b"", b"", None)

    with pytest.raises(TransferError, match="was lost"):
        asyncio.run(Ended(tmp_path).run("read.sh", "a", "1"))
