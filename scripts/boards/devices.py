"""The boards of `devices.toml`: where they are, how to log in, which host key they must show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import tomllib

from scripts.errors import UsageError
from scripts.source import ROOT
from scripts.words import nearest

FILE = ROOT / "devices.toml"
_JUMP = re.compile(
    r"(?P<user>[^@\s]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^@:\s]+)(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)
# Of a device or group: also the name of a file, and one of a list with commas.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_KINDS = {str: "a text", int: "a whole number", bool: "true or false"}
_PORTS = range(1, 2**16)
PERF = ("default", "burst", "balanced", "power-saver")
_LOGINS = ("key", "password_env", "password_prompt")


@dataclass(frozen=True)
class Hop:
    """One SSH server on the way to the board `device`; `name` is what messages call it.

    `logins` are the keys of devices.toml that say how to log in to it.
    """

    device: str
    name: str
    host: str
    port: int
    user: str
    host_key: str
    logins: str


@dataclass(frozen=True)
class Device:
    """One board. `host_key` is its fingerprint as OpenSSH prints it; empty means not yet trusted.

    `path` is the folder of all releases on the board; `keep` how many of them stay for a rollback.
    `perf` is the clocks that golden runs vote for, `npu` the number of the NPU they take, or -1.
    `jump`, `user@host:port`, is a server on the way, with a host key and a private key of its own.
    """

    name: str
    host: str
    user: str
    path: str
    soc: str = ""
    port: int = 22
    host_key: str = ""
    key: str = ""
    password_env: str = ""
    password_prompt: bool = False
    keep: int = 3
    skel: Literal["package", "board"] = "package"
    signers: str = ""
    jump: str = ""
    jump_host_key: str = ""
    jump_key: str = ""
    perf: str = "default"
    npu: int = -1

    @property
    def hop(self) -> Hop:
        """The board's own SSH server."""
        logins = "key, password_env or password_prompt"
        return Hop(self.name, self.name, self.host, self.port, self.user, self.host_key, logins)

    @property
    def jump_hop(self) -> Hop | None:
        """The SSH server through which the board is reached, if any."""
        match = _JUMP.fullmatch(self.jump)
        if match is None:
            return None
        user, host, port = match["user"], match["host"].strip("[]"), int(match["port"] or 22)
        name = f"the jump host of {self.name}"
        return Hop(self.name, name, host, port, user, self.jump_host_key, "jump_key")


def load(path: Path = FILE) -> tuple[dict[str, Device], dict[str, list[str]]]:
    """Return the devices and the groups of a `devices.toml`.

    Raises:
        UsageError: the file is missing or says something that this program does not know.
    """
    document = _document(path)
    tables, groups = (_table(path, document, key) for key in ("devices", "groups"))
    for name, members in groups.items():
        if not isinstance(members, list) or not all(isinstance(row, str) for row in members):
            raise UsageError(f"{path.name}: group {name} is not a list of names of devices.")
    return {name: _device(path, name, table) for name, table in tables.items()}, groups


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"There is no {path}.", remedy="cp devices.example.toml devices.toml, then edit it"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is not TOML: {_in_words(error)}.", remedy="see devices.example.toml"
        ) from None


def _in_words(error: ValueError | RecursionError) -> str:
    if isinstance(error, tomllib.TOMLDecodeError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"it is not text at byte {error.start}"
    deep = isinstance(error, RecursionError)
    return "it is nested too deeply" if deep else "a number in it has too many digits"


def _table(path: Path, document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the table of that key; its names are names of files, and stand in lists of them."""
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path.name}: {key} is not a table.", remedy="see devices.example.toml")
    if strange := [name for name in table if not _NAME.fullmatch(name)]:
        raise UsageError(
            f"{path.name}: [{key}] has the name {strange[0]!r}.",
            remedy="names are letters, digits and . _ -, and begin with a letter or digit",
        )
    return table


def select(names: Sequence[str], path: Path = FILE) -> list[Device]:
    """Return the devices of the given names, in order and once each; a name may be a group's.

    Raises:
        UsageError: a name is unknown, or none is given.
    """
    known, groups = load(path)
    members = [member for name in names for member in groups.get(name, [name])]
    if not known:
        raise UsageError(
            f"{path} names no device.", remedy="add one, as devices.example.toml shows"
        )
    if unknown := [name for name in members if name not in known]:
        entries = [*known, *groups]
        raise UsageError(
            f"{path.name} knows no device {unknown[0]!r}.",
            remedy=f"{nearest(unknown[0], entries)}one of: {', '.join(entries)}",
        )
    if not members:
        raise UsageError("No device is given.", remedy=f"--device {','.join(known)}")
    return [known[name] for name in dict.fromkeys(members)]


def _device(file: Path, name: str, table: Mapping[str, Any]) -> Device:
    where = f"{file.name}: [devices.{name}]"
    if not isinstance(table, dict):
        raise UsageError(f"{where} is not a table.", remedy="see devices.example.toml")
    if "password" in table:
        raise UsageError(
            f"{where} holds a password, which belongs in no file.",
            remedy='password_env = "VARIABLE", or password_prompt = true',
        )
    allowed = {field.name: str(field.type) for field in fields(Device) if field.name != "name"}
    if unknown := sorted(set(table) - set(allowed)):
        raise UsageError(f"{where} has unknown keys {unknown}.", remedy="see devices.example.toml")
    if missing := sorted({"host", "user", "path"} - set(table)):
        raise UsageError(f"{where} lacks {', '.join(missing)}.", remedy="see devices.example.toml")
    device = Device(name=name, **table)
    for field in allowed:
        if type(getattr(device, field)) is not type(getattr(_SAMPLE, field)):
            kind = _KINDS[type(getattr(_SAMPLE, field))]
            raise UsageError(f"{where}: {field} must be {kind}.")
    _check(where, device)
    return device


def _check(where: str, device: Device) -> None:
    if len([way for way in _LOGINS if getattr(device, way)]) > 1:
        raise UsageError(f"{where} gives two ways to log in.", remedy=f"one of {_LOGINS}")
    _check_texts(where, device)
    if not device.path.startswith("/") or not set(device.path.split("/")) - {"", "."}:
        raise UsageError(f"{where}: path must be absolute, and a folder of its own.")
    if ".." in device.path.split("/"):
        raise UsageError(f"{where}: path has a part `..`.", remedy="give the folder itself")
    if device.skel not in ("package", "board"):
        raise UsageError(f"{where}: skel is neither 'package' nor 'board'.")
    if device.jump and not device.jump_hop:
        raise UsageError(
            f"{where}: jump is {device.jump!r}, not user@host:port.",
            remedy="~/.ssh/config is not read: give the name, address and port that it stands for",
        )
    if not device.jump and (device.jump_host_key or device.jump_key):
        raise UsageError(f"{where} has a key for a jump host, and no jump.")
    for key, hop in (("port", device.hop), ("jump", device.jump_hop)):
        if hop and hop.port not in _PORTS:
            raise UsageError(
                f"{where}: {key} has {hop.port}, and ports go from 1 to {_PORTS[-1]}.",
                remedy="leave it out for 22, the port of SSH",
            )
    if device.perf not in PERF:
        raise UsageError(f"{where}: perf is none of {', '.join(PERF)}.")
    if device.npu < -1:
        raise UsageError(f"{where}: npu is no number of an NPU, counted from 0.")
    if device.keep < 1:
        raise UsageError(f"{where}: keep must be at least 1, the release before the current one.")


def _check_texts(where: str, device: Device) -> None:
    texts = {row.name: getattr(device, row.name) for row in fields(device)}
    for field, text in texts.items():
        if isinstance(text, str) and not text.isprintable():
            raise UsageError(f"{where}: {field} is {text!r}: it holds what cannot be shown.")
        if not text and field in ("host", "user"):
            raise UsageError(f"{where}: {field} is empty.")


_SAMPLE = Device("name", "host", "user", "/path")
