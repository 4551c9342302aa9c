"""What is on a board, and so what is left to send."""

import hashlib
from pathlib import Path

import pytest

from scripts.boards import survey
from scripts.boards.survey import Survey
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
    return next(one for one in shipment.package.entries if one.path == path)


def with_part(path: str, content: bytes) -> Survey:
    part = (len(content), hashlib.sha256(content).hexdigest())
    return Survey("", (), {}, (), {path: part}, "")


def test_an_empty_board_gets_everything(shipment: Unpacked) -> None:
    todo = survey.plan(shipment, NOTHING)
    assert {one.path for one, _ in todo.send} == {one.path for one in shipment.package.entries}
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
    assert CONTEXT not in {one.path for one, _ in todo.send}


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


def test_a_part_of_no_file_is_dropped(shipment: Unpacked) -> None:
    assert survey.plan(shipment, with_part("surplus", b"x")).drop == ("surplus",)


def test_what_a_release_has_is_linked(shipment: Unpacked) -> None:
    skel = entry(shipment, "lib/libQnnHtpV73Skel.so")
    found = Survey("", (), {"old": {"lib/other.so": skel.sha256}}, ("old",), {}, "")
    todo = survey.plan(shipment, found)
    assert todo.link == (("old/lib/other.so", skel.path),)
    assert skel not in {one for one, _ in todo.send}
    assert survey.plan(shipment, found, link=False).link == ()


def test_the_boards_answer_is_understood() -> None:
    answer = "current\tab\nhistory\tcd\nhistory\tab\nowner\tme@here process 7\n"
    answer += "release\tab\nsum\tab\t12\tlib/a b.so\nrelease\tef.partial\npart\t5\t34\tlib/x.so\n"
    assert survey.parse(answer) == Survey(
        current="ab",
        history=("cd", "ab"),
        releases={"ab": {"lib/a b.so": "12"}},
        names=("ab", "ef.partial"),
        parts={"lib/x.so": (5, "34")},
        owner="me@here process 7",
    )
    assert survey.parse("") == NOTHING
