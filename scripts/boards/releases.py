"""The releases on a board: one is `current`, others stay for a rollback, the rest go."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.boards.connection import Board
from scripts.boards.resources import script
from scripts.boards.survey import Survey
from scripts.errors import DeviceError


async def commit(board: Board, digest: str) -> None:
    """Turn a checked upload into a release."""
    await board.run(script("commit.sh"), board.device.path, digest)


async def activate(board: Board, digest: str, history: Sequence[str]) -> None:
    """Make a release the current one, in one step; `history` is what leads up to it."""
    text = "".join(f"{one}\n" for one in history)
    await board.run(script("activate.sh"), board.device.path, digest, given=text)


async def prune(board: Board, found: Survey, coming: str = "") -> list[str]:
    """Remove releases beyond those a device keeps, and leftovers; return what was removed.

    What there is of the release `coming`, whole or not, stays.
    """
    kept = keep(found.current, found.history, board.device.keep) | {coming, f"{coming}.partial"}
    removed = [name for name in found.names if name not in kept]
    if removed:
        text = "".join(f"{name}\n" for name in removed)
        await board.run(script("prune.sh"), board.device.path, given=text)
    return removed


def succession(found: Survey, digest: str) -> list[str]:
    """Return the history after a deployment: what was rolled back is no longer part of it."""
    past = _until_current(found)
    return [one for one in past if one != digest] + [digest]


def previous(device: str, found: Survey) -> str:
    """Return the release to roll back to: the one in use before the current one.

    Raises:
        DeviceError: there is none.
    """
    before = _until_current(found)[:-1]
    for digest in reversed(before):
        if digest in found.releases:
            return digest
    raise DeviceError(
        f"{device} has no release before the current one.",
        cause="this was the first deployment, or earlier ones were pruned",
        remedy="deploy the archive you want; `keep` in devices.toml says how many stay",
    )


def keep(current: str, history: Sequence[str], count: int) -> set[str]:
    """Return the digests that stay: the current one, and `count` before it."""
    past = list(history[: history.index(current)]) if current in history else []
    return {current, *past[-count:]}


def _until_current(found: Survey) -> list[str]:
    """The history up to the current release; a deployment killed before its last step is cut."""
    history = list(found.history)
    if found.current in history:
        return history[: history.index(found.current) + 1]
    return [found.current] if found.current else []
