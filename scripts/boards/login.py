"""How to log in to a board. A password comes from a prompt or the environment, and goes nowhere."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.boards.devices import FILE, Device
from scripts.boards.whoami import name_the_nameless
from scripts.errors import UsageError


@dataclass(frozen=True)
class Login:
    """A device with what it takes to log in; the password shows in no representation."""

    device: Device
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """Return asyncssh's options: a password, one key file, or else the agent and its keys."""
        if self.password is not None:
            return {"password": self.password, "client_keys": None, "agent_path": None}
        if self.device.key:
            key = str(Path(self.device.key).expanduser())
            return {"client_keys": [key], "agent_path": None}
        return {}

    def jump_options(self) -> dict[str, Any]:
        """Return asyncssh's options for the jump host: by a key or by the agent, no password."""
        key = self.device.jump_key or self.device.key
        if key:
            return {"client_keys": [str(Path(key).expanduser())], "agent_path": None}
        return {}


def logins(devices: Sequence[Device]) -> list[Login]:
    """Return how to log in to each device, asking for passwords one after the other.

    Raises:
        UsageError: a variable that should hold a password is not set, or a key file is missing.
    """
    name_the_nameless()
    return [Login(device, _password(device)) for device in devices]


def _password(device: Device) -> str | None:
    where = f"{FILE.name}: [devices.{device.name}]"
    for key in ("key", "jump_key"):
        path = getattr(device, key)
        if path and not Path(path).expanduser().is_file():
            raise UsageError(
                f"{where}: {key} is {path}, and there is no such file.",
                remedy="give the path of a private key, or leave it out for those of ssh-agent",
            )
    if device.password_prompt:
        return getpass.getpass(f"password of {device.user} on {device.name}: ")
    if not device.password_env:
        return None
    if device.password_env not in os.environ:
        raise UsageError(
            f"{where}: password_env is {device.password_env}, a variable that is not set.",
            remedy=f"read -rs {device.password_env} && export {device.password_env}",
        )
    return os.environ[device.password_env]
