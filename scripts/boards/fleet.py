"""Many boards side by side: what tasks call. Each tells its own story, one table ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from scripts.boards import measured, upkeep
from scripts.boards.devices import FILE, Device, select
from scripts.boards.install import Say, install
from scripts.boards.login import Login, logins
from scripts.console import Console
from scripts.errors import KeyFileError, PipelineError
from scripts.package import package, signature
from scripts.words import counted

Action = Callable[[Login, Say], Awaitable[tuple[str, ...]]]


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
    lists = [signers] if signers else []
    lists += _lists(devices, file).values()
    with signature.verified(archive, lists) as (own, _), package.unpacked(own) as shipment:

        async def action(login: Login, say: Say) -> tuple[str, ...]:
            return (await install(login, shipment, say, measured.beside(archive)),)

        _each(devices, action, f"deployment of {shipment.package.manifest.name}", console)


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
    action: Action,
    title: str,
    console: Console | None,
    columns: Sequence[str] = ("outcome",),
) -> None:
    outcomes = asyncio.run(_side_by_side(logins(devices), action))
    console, rows, records = console or Console(), [], []
    keys = [name.replace(" ", "_") for name in columns]
    failed: dict[str, Exception] = {}
    for device, outcome in zip(devices, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            failed[device.name] = outcome
            records.append({"device": device.name, "error": _headline(outcome)})
            outcome = (f"FAILED: {_headline(outcome)}", *("" for _ in columns[1:]))
        else:
            records.append({"device": device.name, **dict(zip(keys, outcome, strict=True))})
        rows.append((device.name, *outcome))
    console.table(title, rows, ("device", *columns))
    console.result(devices=records)
    if failed:
        raise _summary(failed, len(devices))


async def _side_by_side(
    all_logins: Sequence[Login], action: Action
) -> list[tuple[str, ...] | Exception]:
    """Bring every board to its own end, whatever goes wrong with another."""

    async def outcome(login: Login) -> tuple[str, ...] | Exception:
        def say(text: str) -> None:
            print(f"  {login.device.name}: {text}", flush=True)

        try:
            return await action(login, say)
        except Exception as error:  # also one of ours: the others are not to suffer for it
            return error

    return await asyncio.gather(*(outcome(login) for login in all_logins))


def _headline(error: Exception) -> str:
    """Return the first line of an error, and the second where the first only leads up to it."""
    if not isinstance(error, PipelineError):
        return f"unexpected {type(error).__name__}: {error}"
    first, *rest = (line.strip() for line in error.what.splitlines())
    return f"{first} {rest[0]}" if first.endswith(":") and rest else first


def _summary(failed: dict[str, Exception], count: int) -> Exception:
    """Return the error of all boards together; a fault of this program comes first, as it is."""
    ours = [error for error in failed.values() if not isinstance(error, PipelineError)]
    first = next(iter([*ours, *failed.values()]))
    if count == 1 or not isinstance(first, PipelineError):
        return first
    lines = "\n".join(f"{name}: {error}" for name, error in failed.items())
    return type(first)(f"{len(failed)} of {counted(count, 'device')} failed.\n{lines}")
