"""Writing host keys' fingerprints into `devices.toml`, once somebody has compared them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scripts.boards.connection import fingerprint
from scripts.boards.devices import FILE, Device, Hop, select
from scripts.boards.login import logins
from scripts.errors import HostKeyError, UsageError

Confirm = Callable[[str], bool]


def trust(name: str, confirm: Confirm, file: Path = FILE) -> str:
    """Show the host key that a board has now, and pin it where `confirm` says yes to the question.

    The same before it for the jump host of a board that has one.
    Returns the board's fingerprint, which is pinned.

    Raises:
        UsageError: there is no such device.
        DeviceError: the board cannot be reached.
        HostKeyError: a key was not confirmed.
    """
    (device,) = select([name], file)
    if device.jump_hop:
        key = _pin(device, device.jump_hop, "jump_host_key", confirm, file)
        device = replace(device, jump_host_key=key)
    return _pin(device, device.hop, "host_key", confirm, file)


def _pin(device: Device, hop: Hop, field: str, confirm: Confirm, file: Path) -> str:
    (login,) = logins([device])
    shown = asyncio.run(fingerprint(login, hop))
    if shown == hop.host_key:
        return shown
    before = f"It was {hop.host_key}." if hop.host_key else "None was known."
    if not confirm(f"{hop.name} ({hop.host}) shows the host key {shown}. {before} Trust it?"):
        raise HostKeyError(f"The host key of {hop.name} stays as it was.")
    file.write_text(pinned(file.read_text(), device.name, shown, field))
    return shown


def pinned(text: str, name: str, shown: str, field: str = "host_key") -> str:
    """Return the text of a `devices.toml` with the fingerprint of one device set.

    Raises:
        UsageError: the device is not written as a table of its own.
    """
    line = f'{field} = "{shown}"'
    pattern = re.compile(
        rf'^\[devices\.(?:{re.escape(name)}|"{re.escape(name)}")\][^\n]*\n(?:(?!\[).*\n?)*', re.M
    )
    table = pattern.search(text)
    if table is None:
        raise UsageError(f"There is no table [devices.{name}].", remedy=f"add by hand: {line}")
    body, count = re.subn(rf"^{field}\s*=.*$", line, table[0], flags=re.M)
    if not count:
        head, _, rest = table[0].partition("\n")
        body = f"{head}\n{line}\n{rest}"
    return text[: table.start()] + body + text[table.end() :]
