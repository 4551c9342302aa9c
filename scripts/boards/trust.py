"""Writing a host key's fingerprint into `devices.toml`, once somebody has compared it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from scripts.boards.connection import fingerprint
from scripts.boards.devices import FILE, select
from scripts.errors import HostKeyError, UsageError


def trust(name: str, confirm: Callable[[str], bool], file: Path = FILE) -> str:
    """Show the host key that a board has now, and pin it where `confirm` says yes to the question.

    Returns the fingerprint that is pinned.

    Raises:
        UsageError: there is no such device.
        DeviceError: the board cannot be reached.
        HostKeyError: it was not confirmed.
    """
    (device,) = select([name], file)
    shown = asyncio.run(fingerprint(device))
    if shown == device.host_key:
        return shown
    before = f"It was {device.host_key}." if device.host_key else "None was known."
    if not confirm(f"{name} ({device.host}) shows the host key {shown}. {before} Trust it?"):
        raise HostKeyError(f"The host key of {name} stays as it was.")
    file.write_text(pinned(file.read_text(), name, shown))
    return shown


def pinned(text: str, name: str, shown: str) -> str:
    """Return the text of a `devices.toml` with the fingerprint of one device set.

    Raises:
        UsageError: the device is not written as a table of its own.
    """
    line = f'host_key = "{shown}"'
    table = re.compile(
        rf'^\[devices\.(?:{re.escape(name)}|"{re.escape(name)}")\][^\n]*\n(?:(?!\[).*\n?)*', re.M
    )
    found = table.search(text)
    if found is None:
        raise UsageError(f"There is no table [devices.{name}].", remedy=f"add by hand: {line}")
    body, count = re.subn(r"^host_key\s*=.*$", line, found[0], flags=re.M)
    if not count:
        head, _, rest = found[0].partition("\n")
        body = f"{head}\n{line}\n{rest}"
    return text[: found.start()] + body + text[found.end() :]
