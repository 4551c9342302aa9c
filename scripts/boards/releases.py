"""The releases on a board: one is `current`, others stay for a rollback, the rest go."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.boards import shell
from scripts.boards.board import SECONDS_OF_HASHING, Board
from scripts.boards.survey import Survey
from scripts.errors import DeviceError


async def commit(board: Board, digest: str) -> None:
    """Turn a checked upload into a release.

    Raises:
        DeviceError: the board cannot.
    """
    answer = await board.run("commit.sh", board.device.path, digest, seconds=SECONDS_OF_HASHING)
    _require(board, answer, "release", digest)


async def activate(board: Board, digest: str, before: Sequence[str], after: Sequence[str]) -> None:
    """Make a release the current one, in one step.

    `before` is the history that holds until the switch and `after` the one that holds from then
    on; both lead from the current release and from the new one to what was in use earlier, so
    that a board cut off at any moment can go back. An empty `before` leaves it as it is.

    Raises:
        DeviceError: the board cannot.
    """
    orders = [shell.order("before", name) for name in before]
    orders += [shell.order("after", name) for name in after]
    answer = await board.run("activate.sh", board.device.path, digest, orders=orders)
    _require(board, answer, "current", f"releases/{digest}")


async def prune(board: Board, survey: Survey, coming: str = "") -> list[str]:
    """Remove releases beyond those a device keeps, and leftovers; return what was removed.

    What there is of the release `coming`, whole or not, stays.

    Raises:
        DeviceError: the board cannot.
    """
    removed = removable(survey, board.device.keep, coming)
    if removed:
        await remove(board, removed)
    return removed


async def remove(board: Board, names: Sequence[str]) -> None:
    """Remove releases or uploads, none of them in use.

    Raises:
        DeviceError: one is in use, or the board cannot.
    """
    orders = [shell.order("remove", name) for name in names]
    await board.run("prune.sh", board.device.path, orders=orders, seconds=SECONDS_OF_HASHING)


def removable(survey: Survey, count: int, coming: str = "") -> list[str]:
    """Return what may go: all but the current release, `count` before it, and `coming`.

    Where the history does not know the current release, nobody can tell which those are: then no
    release goes, only what is unfinished.
    """
    stay = {coming, f"{coming}.partial"}
    if survey.current in survey.history:
        stay |= keep(survey.current, survey.history, count)
    elif survey.current or survey.history:
        stay |= {name for name in survey.names if "." not in name}
    return [name for name in survey.names if name not in stay]


def is_of_deployment(survey: Survey, digest: str) -> bool:
    """Tell whether a release is there because it is in use, or was."""
    return digest in survey.releases and digest in {survey.current, *survey.history}


def succession(survey: Survey, digest: str) -> tuple[list[str], list[str]]:
    """Return the histories before and after the switch to a release.

    What was rolled back is no longer part of them. A release that is in use again stands twice
    in the first: as what the current one goes back to, and as what comes after it.
    """
    present = {*survey.releases, survey.current}
    past = [name for name in _until_current(survey) if name in present]
    return [*past, digest], [name for name in past if name != digest] + [digest]


def previous(device: str, survey: Survey) -> str:
    """Return the release to roll back to: the one in use before the current one.

    Raises:
        DeviceError: there is none.
    """
    for digest in reversed(_until_current(survey)[:-1]):
        if digest in survey.releases and digest != survey.current:
            return digest
    raise DeviceError(
        f"{device} has no release before the current one.",
        cause="this was the first deployment, or earlier ones were pruned",
        remedy="deploy the archive you want; `keep` in devices.toml says how many stay",
    )


def retreat(survey: Survey, digest: str) -> list[str]:
    """Return the history after going back to an earlier release: what led up to it."""
    past = _until_current(survey)[:-1]
    return past[: _last(past, digest) + 1]


def keep(current: str, history: Sequence[str], count: int) -> set[str]:
    """Return the digests that stay: the current one, and `count` before it."""
    if current not in history:
        return {current}
    past = [name for name in history[: _last(history, current)] if name != current]
    return {current, *list(dict.fromkeys(reversed(past)))[:count]}


def _until_current(survey: Survey) -> list[str]:
    """The history up to the current release; a deployment killed before its last step is cut."""
    if survey.current in survey.history:
        return list(survey.history[: _last(survey.history, survey.current) + 1])
    return [survey.current] if survey.current else []


def _last(history: Sequence[str], digest: str) -> int:
    return len(history) - 1 - list(reversed(history)).index(digest)


def _require(board: Board, answer: bytes, key: str, value: str) -> None:
    """Hold the board's own word against what was to be done."""
    rows = shell.rows(answer, {key: 1})[key]
    if rows != [(value,)]:
        raise DeviceError(
            f"{board.device.name} says that {key} is {rows}, not {value}.",
            cause="another program works in the same folder, or the board's disk is failing",
            remedy="see what is in use with `invoke device.status`, and run the command again",
        )
