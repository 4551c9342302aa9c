"""Many boards side by side: what tasks call. Each tells its own story, one table ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from scripts import words
from scripts.boards import measured, upkeep
from scripts.boards.board import listener
from scripts.boards.connection import connected
from scripts.boards.devices import FILE, Device, select
from scripts.boards.install import Say, install, trial
from scripts.boards.login import Login, logins
from scripts.boards.probe import Facts, probe
from scripts.console import Console, record
from scripts.errors import KeyFileError, PipelineError
from scripts.package import package, signature
from scripts.package.package import Unpacked
from scripts.words import counted

Result = TypeVar("Result")
Action = Callable[[Login, Say], Awaitable[Result]]
# Boards that are tried side by side at most: each takes sockets of this machine.
_WIDEST_WAVE = 32


def deploy(
    archive: Path,
    names: Sequence[str],
    *,
    signers: Path | None = None,
    file: Path = FILE,
    console: Console | None = None,
) -> None:
    """Bring an archive into use on devices or groups, side by side.

    `signers`, a file in OpenSSH's allowed_signers format, makes a signature by one of them a must;
    so does `signers` of a device.

    Raises:
        ArtefactError: the archive is damaged.
        KeyFileError, SignatureError: it is not signed as it must be.
        PipelineError: the error of one device; the others are brought to their end first.
    """
    devices = select(names, file)
    with _shipment(archive, devices, file, signers) as shipment:

        async def action(login: Login, say: Say) -> tuple[str, ...]:
            return (await install(login, shipment, say, measured.beside(archive)),)

        _each(devices, action, f"deployment of {shipment.package.manifest.name}", console)


def look(
    all_logins: Sequence[Login], console: Console | None = None
) -> dict[str, Facts | Exception]:
    """Ask devices what they are, side by side; return what each says, or why it does not."""

    async def action(login: Login, _say: Say) -> Facts:
        async with connected(login) as board:
            return await probe(board, (), "")

    return _outcomes(all_logins, action, console or Console())


def try_out(
    archive: Path,
    all_logins: Sequence[Login],
    *,
    file: Path = FILE,
    console: Console | None = None,
) -> dict[str, str | Exception]:
    """Try an archive on devices beside the release in use, wave after wave.

    A wave in which a device fails is the last one.

    Returns:
        How it went on each device by name, or why not; devices of later waves are left out.

    Raises:
        ArtefactError: the archive is damaged.
        KeyFileError, SignatureError: it is not signed as it must be.
    """
    outcomes: dict[str, str | Exception] = {}
    console = console or Console()
    devices = [login.device for login in all_logins]
    with _shipment(archive, devices, file) as shipment:

        async def action(login: Login, say: Say) -> str:
            return await trial(login, shipment, say, measured.beside(archive))

        for wave in waves(all_logins):
            outcomes |= _outcomes(wave, action, console)
            errors = [outcome for outcome in outcomes.values() if isinstance(outcome, Exception)]
            for error in errors:
                console.traced(error)
            if errors:
                break
    return outcomes


def waves(rows: Sequence[Result]) -> Iterator[Sequence[Result]]:
    """Yield the first by itself, which is the canary, then waves twice as large as the last."""
    start, width = 0, 1
    while start < len(rows):
        yield rows[start : start + width]
        start, width = start + width, min(2 * width, _WIDEST_WAVE)


@contextmanager
def _shipment(
    archive: Path, devices: Sequence[Device], file: Path, signers: Path | None = None
) -> Iterator[Unpacked]:
    """Yield an archive's files, after it was held against every list of signers that counts."""
    lists = [signers] if signers else []
    lists += _lists(devices, file).values()
    with signature.verified(archive, lists) as (own, _), package.unpacked(own) as shipment:
        yield shipment


def _lists(devices: Sequence[Device], file: Path) -> dict[str, Path]:
    """Return the lists of signers of those devices that ask for a signature, by their names."""
    lists = {row.name: row.signers for row in devices if row.signers}
    return {name: file.parent / Path(path).expanduser() for name, path in lists.items()}


def rollback(names: Sequence[str], *, file: Path = FILE, console: Console | None = None) -> None:
    """Put devices back to the release before the current one, after checking it.

    Raises:
        PipelineError: the error of one device; the others are brought to their end first.
    """
    _each(select(names, file), upkeep.rollback, "rollback", console)


def status(names: Sequence[str], *, file: Path = FILE, console: Console | None = None) -> None:
    """Show what is in use on devices, what else they hold, and what they are.

    Raises:
        PipelineError: the error of one device; the others are shown first.
    """
    devices, console = select(names, file), console or Console()
    for name, path in _lists(devices, file).items():
        try:
            signature.require_list(path)
        except KeyFileError as error:
            console.note(f"signers of {name}: {error.what} Nothing can be deployed there")
    _each(devices, upkeep.status, "devices", console, upkeep.STATUS_COLUMNS)


def remote_verify(
    names: Sequence[str], *, file: Path = FILE, console: Console | None = None
) -> None:
    """Hash the current release on devices again, and try its network on its golden input.

    Raises:
        PipelineError: the error of one device; the others are brought to their end first.
    """
    _each(select(names, file), upkeep.verify, "verification", console)


def _each(
    devices: Sequence[Device],
    action: Action[tuple[str, ...]],
    title: str,
    console: Console | None,
    columns: Sequence[str] = ("outcome",),
) -> None:
    console, rows, records = console or Console(), [], []
    outcomes = _outcomes(logins(devices), action, console)
    keys = [name.replace(" ", "_") for name in columns]
    failed: dict[str, Exception] = {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, Exception):
            failed[name] = outcome
            records.append({"device": name, "error": record(outcome, [])})
            outcome = (f"FAILED: {headline(outcome)}", *("" for _ in columns[1:]))
        else:
            records.append({"device": name, **dict(zip(keys, outcome, strict=True))})
        rows.append((name, *outcome))
    console.table(title, rows, ("device", *columns))
    console.result(devices=records)
    if failed:
        error = _summary(failed, len(devices))
        for other in failed.values():
            if other is not error:  # whoever gets that one says where it comes from
                console.traced(other)
        raise error


def _outcomes(
    all_logins: Sequence[Login], action: Action[Result], console: Console
) -> dict[str, Result | Exception]:
    """Return what an action comes to on each device, by its name."""
    results = asyncio.run(_side_by_side(all_logins, action, console))
    names = [login.device.name for login in all_logins]
    return dict(zip(names, results, strict=True))


async def _side_by_side(
    all_logins: Sequence[Login], action: Action[Result], console: Console
) -> list[Result | Exception]:
    """Bring every board to its own end, whatever goes wrong with another."""

    async def outcome(login: Login) -> Result | Exception:
        name = login.device.name

        def say(text: str) -> None:
            print(f"  {name}: {text}", flush=True)

        listener.set(lambda script: console.detail(f"{name}: {script}"))
        try:
            return await action(login, say)
        except Exception as error:  # also one of ours: the others are not to suffer for it
            return error

    return await asyncio.gather(*(outcome(login) for login in all_logins))


def headline(error: Exception) -> str:
    """Return what a table says of an error."""
    if not isinstance(error, PipelineError):
        return f"unexpected {type(error).__name__}: {error}"
    return words.headline(error.what)


def _summary(failed: dict[str, Exception], count: int) -> Exception:
    """Return the error of all boards together; a fault of this program comes first, as it is."""
    ours = [error for error in failed.values() if not isinstance(error, PipelineError)]
    first = next(iter([*ours, *failed.values()]))
    if count == 1 or not isinstance(first, PipelineError):
        return first
    lines = "\n".join(f"{name}: {error}" for name, error in failed.items())
    return type(first)(f"{len(failed)} of {counted(count, 'device')} failed.\n{lines}")
