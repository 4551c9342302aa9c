"""What is on a board, and so what is left to send."""

import hashlib
from pathlib import Path

import pytest

from scripts.boards import survey
from scripts.boards.survey import Survey
from scripts.errors import DeviceError
from scripts.package import package
from scripts.package.item import Entry
from scripts.package.package import Unpacked
from tests import packages

NOTHING = Survey("", (), {}, (), {}, "")
CONTEXT = "model/dinov3_int8_htp.serialized.bin"


@pytest.fixture
def shipment(tmp_path: Path) -> Unpacked:
    path = packages.package(tmp_path / "build", size=5000)
    return Unpacked(package.check(path, tmp_path / "unpacked"), tmp_path / "unpacked")


def entry(shipment: Unpacked, path: str) -> Entry:
    return next(entry for entry in shipment.package.entries if entry.path == path)


def with_part(path: str, content: bytes) -> Survey:
    part = (len(content), hashlib.sha256(content).hexdigest())
    return Survey("", (), {}, (), {path: part}, "")


def test_an_empty_board_gets_everything(shipment: Unpacked) -> None:
    todo = survey.plan(shipment, NOTHING)
    assert {entry for entry, _ in todo.send} == set(shipment.package.entries)
    assert todo.size == shipment.package.size
    assert (todo.drop, todo.link) == ((), ())


@pytest.mark.parametrize("length", [1, 17, 4999])
def test_a_beginning_is_gone_on_with(shipment: Unpacked, length: int) -> None:
    content = (shipment.folder / CONTEXT).read_bytes()[:length]
    todo = survey.plan(shipment, with_part(CONTEXT, content))
    assert (entry(shipment, CONTEXT), length) in todo.send
    assert todo.drop == ()


def test_a_whole_part_is_left_alone(shipment: Unpacked) -> None:
    content = (shipment.folder / CONTEXT).read_bytes()
    todo = survey.plan(shipment, with_part(CONTEXT, content))
    assert CONTEXT not in {entry.path for entry, _ in todo.send}


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: b"X" + whole[1:100],
        lambda whole: b"X" + whole[1:],
        lambda whole: whole + b"X",
        lambda whole: b"",
    ],
)
def test_a_part_that_is_no_beginning_is_dropped(shipment: Unpacked, change: object) -> None:
    assert callable(change)
    content = change((shipment.folder / CONTEXT).read_bytes())
    todo = survey.plan(shipment, with_part(CONTEXT, content))
    assert todo.drop == (CONTEXT,)
    assert (entry(shipment, CONTEXT), 0) in todo.send


def test_what_a_release_has_is_linked(shipment: Unpacked) -> None:
    skel = entry(shipment, "lib/libQnnHtpV73Skel.so")
    there = Survey("", (), {"old": {"lib/other.so": skel.sha256}}, ("old",), {}, "")
    todo = survey.plan(shipment, there)
    assert todo.link == (("old/lib/other.so", skel.path),)
    assert skel not in {entry for entry, _ in todo.send}
    assert survey.plan(shipment, there, link=False).link == ()


A, B = 64 * "a", 64 * "b"
HASH = 64 * "1"


def test_the_boards_answer_is_understood() -> None:
    answer = f"current\treleases/{A}\nhistory\t{B}\nhistory\t{A}\nowner\tme@here process 7\n"
    answer += f"release\t{A}\nsum\t{A}\t{HASH}\tlib/a.so\nrelease\t{B}.partial\n"
    answer += f"part\t5\t{HASH}\tlib/x.so\n"
    assert survey.parse(answer.encode(), "/data") == Survey(
        current=A,
        history=(B, A),
        releases={A: {"lib/a.so": HASH}},
        names=(A, f"{B}.partial"),
        parts={"lib/x.so": (5, HASH)},
        owner="me@here process 7",
    )
    assert survey.parse(b"", "/data") == NOTHING


@pytest.mark.parametrize(
    "answer",
    ["hello", "part\tmany\thash\tfile", "release", "current\ta\tb", "\0\xff", "total 12\t3"],
)
def test_nonsense_is_an_error_of_that_board(answer: str) -> None:
    with pytest.raises(DeviceError, match="none of our scripts says"):
        survey.parse(answer.encode("latin-1"), "/data")


def test_names_that_are_not_ours_are_left_alone() -> None:
    answer = f"release\t..\nrelease\t/etc\nrelease\tbackup\nsum\t{A}\t{HASH}\t../../etc/passwd\n"
    answer += "history\tyesterday\n"
    assert survey.parse(answer.encode(), "/data") == NOTHING


@pytest.mark.parametrize("target", ["", "/opt/other", "releases/../../etc", "releases/v1.2"])
def test_a_current_of_somebody_else_is_not_touched(target: str) -> None:
    with pytest.raises(DeviceError, match="none of our releases"):
        survey.parse(f"current\t{target}\n".encode(), "/data")
