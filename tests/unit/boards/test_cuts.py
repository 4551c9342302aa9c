"""A board that dies at any command of any script: what is in use is whole, and one can go back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.boards import releases, shell
from scripts.boards.survey import Survey, survey
from scripts.errors import DeviceError
from tests.unit.boards.local import Local, is_whole, release

Action = Callable[["Case"], Awaitable[object]]


@dataclass
class Case:
    """A board with the releases `a` and `b`, the latter in use, and the upload of `c`."""

    board: Local
    a: str
    b: str
    c: str

    @property
    def root(self) -> Path:
        return Path(self.board.device.path)

    @property
    def current(self) -> str:
        return (self.root / "current").readlink().name

    def look(self) -> Survey:
        return asyncio.run(survey(self.board))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    board = Local(tmp_path / "board", keep=1)
    case = Case(board, release(board, "a"), release(board, "b"), release(board, "c", ".partial"))
    for foreign in ("backup", "v1.2.partial", f"{64 * 'x'}"):
        (case.root / "releases" / foreign).mkdir()
        (case.root / "releases" / foreign / "file").write_text("not ours")
    (case.root / "history").write_text(f"{case.a}\n{case.b}\n")
    (case.root / "current").symlink_to(f"releases/{case.b}")
    return case


def cuts(case: Case, action: Action) -> Iterator[int]:
    """Cut an action at each of its steps; yield for each state that this leaves a board in."""
    before = case.root.with_name("before")
    shutil.copytree(case.root, before, symlinks=True)
    states = {state(case.root)}
    yield 0
    for cut in range(1, 1000):
        if state(case.root) != state(before):
            shutil.rmtree(case.root)
            shutil.copytree(before, case.root, symlinks=True)
        if asyncio.run(ends(case, action, cut)):
            assert cut > 5
            return
        if state(case.root) not in states:
            states.add(state(case.root))
            yield cut
    raise AssertionError("no end")


def state(root: Path) -> str:
    """Return all there is below a folder."""
    return "\n".join(
        f"{path} {path.readlink() if path.is_symlink() else path.is_file() and path.read_text()}"
        for path in sorted(file.relative_to(root) for file in root.rglob("*"))
        for path in [root / path]
    ).replace(str(root), "")


async def ends(case: Case, action: Action, cut: int) -> bool:
    """Return whether an action is through before it is cut."""
    case.board.cut = cut
    try:
        await action(case)
    except DeviceError:
        return False
    finally:
        case.board.cut = None
    return True


def holds(case: Case, *in_use: str) -> None:
    """What must be true whenever a board was cut off."""
    assert case.current in in_use
    assert is_whole(case.board, case.current)
    back = releases.previous("here", case.look())
    assert back in {case.a, case.b, case.c} - {case.current}
    assert is_whole(case.board, back)
    assert (case.root / "releases/backup/file").read_text() == "not ours"
    assert (case.root / "releases/v1.2.partial/file").exists()


def finish(case: Case, digest: str) -> None:
    """Bring a release into use as a deployment does, and go back from it."""
    there = case.look()
    before = there.current
    if before != digest:
        asyncio.run(releases.activate(case.board, digest, *releases.succession(there, digest)))
    asyncio.run(releases.prune(case.board, case.look()))
    assert case.current == digest
    there = case.look()
    back = releases.previous("here", there)
    assert before in (back, digest)
    asyncio.run(releases.activate(case.board, back, [], releases.retreat(there, back)))
    assert is_whole(case.board, case.current)
    assert case.current == back


def test_the_switch_to_a_new_release(case: Case) -> None:
    asyncio.run(releases.commit(case.board, case.c))
    histories = releases.succession(case.look(), case.c)
    for _ in cuts(case, lambda case: releases.activate(case.board, case.c, *histories)):
        holds(case, case.b, case.c)
        finish(case, case.c)
    assert case.current == case.c


def test_the_switch_to_a_release_that_was_in_use_before(case: Case) -> None:
    histories = releases.succession(case.look(), case.a)
    for _ in cuts(case, lambda case: releases.activate(case.board, case.a, *histories)):
        holds(case, case.a, case.b)
        finish(case, case.a)
    assert (case.root / "history").read_text().split() == [case.b, case.a]


def test_a_rollback(case: Case) -> None:
    asyncio.run(releases.commit(case.board, case.c))
    asyncio.run(releases.activate(case.board, case.c, [], [case.a, case.b, case.c]))
    history = releases.retreat(case.look(), case.b)
    for _ in cuts(case, lambda case: releases.activate(case.board, case.b, [], history)):
        holds(case, case.b, case.c)
        finish(case, case.c)


def test_pruning(case: Case) -> None:
    asyncio.run(releases.commit(case.board, case.c))
    asyncio.run(releases.activate(case.board, case.c, [], [case.a, case.b, case.c]))
    release(case.board, "d", ".partial")
    release(case.board, "e", ".removed")
    release(case.board, "a", ".removed")  # an earlier attempt that was cut
    there = case.look()
    for _ in cuts(case, lambda case: releases.prune(case.board, there)):
        holds(case, case.c)
        asyncio.run(releases.prune(case.board, case.look()))
        assert set(case.look().names) == {case.b, case.c}
    assert set(case.look().names) == {case.b, case.c}


def test_pruning_cut_within_a_removal(case: Case, tmp_path: Path) -> None:
    asyncio.run(releases.commit(case.board, case.c))
    asyncio.run(releases.activate(case.board, case.c, [], [case.a, case.b, case.c]))
    rm = tmp_path / "bin" / "rm"
    rm.parent.mkdir()
    rm.write_text('#!/bin/sh\n[ -e "$2" ] || exit 0\n/bin/rm -f "$2/same"\nkill -9 0\n')
    rm.chmod(0o755)
    dying = Local(case.root, environment={"PATH": f"{rm.parent}:/usr/bin:/bin"}, keep=1)
    with pytest.raises(DeviceError):
        asyncio.run(releases.prune(dying, case.look()))
    holds(case, case.c)
    assert not (case.root / "releases" / case.a).exists()
    asyncio.run(releases.prune(case.board, case.look()))
    assert set(case.look().names) == {case.b, case.c}


def test_a_new_release_from_its_upload(case: Case) -> None:
    for _ in cuts(case, lambda case: releases.commit(case.board, case.c)):
        holds(case, case.b)
        folders = [case.root / "releases" / name for name in (case.c, f"{case.c}.partial")]
        assert [folder.exists() for folder in folders].count(True) == 1
    assert is_whole(case.board, case.c)


def test_a_release_mended_in_its_place(case: Case) -> None:
    damaged = case.root / "releases" / release(case.board, "c")
    (damaged / "bin/run").write_text("other")
    (damaged / "sur\nplus").write_text("")
    shutil.rmtree(damaged / "lib")
    (damaged / "lib").symlink_to(case.root)  # nothing may be written behind it
    (damaged / "same").unlink()
    (damaged / "same").mkdir()
    listing = sorted(case.root.iterdir())
    for _ in cuts(case, lambda case: releases.commit(case.board, case.c)):
        holds(case, case.b)
        assert sorted(case.root.iterdir()) == listing
    assert is_whole(case.board, case.c)
    assert sorted(case.root.iterdir()) == listing


def test_preparing_an_upload(case: Case) -> None:
    upload = case.root / "releases" / f"{case.c}.partial"
    (upload / "surplus").write_text("x")
    (upload / "x\ndrop\tsame").write_text("x")
    (upload / "linked").symlink_to("/etc/passwd")
    orders = [shell.order("keep", path) for path in ("bin/run", "same", "linked", "SHA256SUMS")]
    orders += [shell.order("drop", "bin/run"), shell.order("folder", "lib")]
    orders += [shell.order("link", f"{case.a}/lib/libskel.so", "lib/libskel.so")]

    async def prepare(case: Case) -> None:
        await case.board.run("prepare.sh", str(case.root), case.c, orders=orders)

    for _ in cuts(case, prepare):
        holds(case, case.b)
        assert is_whole(case.board, case.a)
    files = {str(file.relative_to(upload)) for file in upload.rglob("*") if not file.is_dir()}
    assert files == {"same", "lib/libskel.so", "SHA256SUMS"}


def test_links_into_a_release(case: Case) -> None:
    orders = [shell.order("link", "lib/libcdsprpc.so", "bin/sh")]
    folder = str(case.root / "releases" / case.b)
    for _ in cuts(case, lambda case: case.board.run("links.sh", folder, orders=orders)):
        link = Path(folder) / "lib/libcdsprpc.so"
        assert not link.is_symlink() or link.readlink() == Path("/bin/sh")
