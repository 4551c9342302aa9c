"""Options said once: a field of a frozen dataclass carries its default, its help and its check.

The command line, its help, the page docs/options.md and the checked value all come from that field:

    model: Model = option("digits", metavar="NAME", help="network", check=model_by_name)
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from scripts.errors import UsageError
from scripts.words import excerpt, quoted

# What a command line gives: a text, or whether a flag stands there.
Text = str | bool
Kind = TypeVar("Kind")
Check = Callable[[Any], Any]
_KEY = "option"
# Characters of a value that a refusal repeats.
_SHOWN = 200
# Python's `float` reads the digits of every script, and 1_0 as 10.
_NUMBER = re.compile(r"[0-9.eE+-]+")
# What a path does not begin with; a folder `https:` would be made of it.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
# Of addresses that curl fetches as they are.
_CURL = ("http", "https", "ftp")
# Bytes of a file that say what it is.
_BEGINNING = 1024
# Bytes that Linux takes as the name of a file, and as a path.
_NAME, _PATH = 255, 4095


class NoPathError(ValueError):
    """A text that is no path here, and what to give in its place."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(reason)


@dataclass(frozen=True)
class Option:
    """One option: `check` turns its text into a value, or raises ValueError or an error of ours.

    `help` is a line on the command line, `details` goes below it on the page; `variable` is the
    environment's variable that counts where the command line is silent.
    """

    name: str
    default: Text
    help: str
    check: Check
    metavar: str = ""
    details: str = ""
    variable: str = ""

    @property
    def flag(self) -> str:
        """The option as a user types it, e.g. `--max-ms`."""
        return flag(self.name)

    @property
    def summary(self) -> str:
        """The line of help, with the default where that is a word."""
        is_word = isinstance(self.default, str) and self.default
        return f"{self.help} [default: {self.default}]" if is_word else self.help

    @property
    def standing(self) -> Text | None:
        """What counts where the command line is silent: the variable, else the default.

        None where that is no text, so that an empty one is known to be a user's.
        """
        standing = (self.variable and os.environ.get(self.variable)) or self.default
        return None if standing == "" else standing

    def value(self, text: Text) -> Any:
        """Return the value that a text stands for.

        Raises:
            UsageError: it stands for none.
            PipelineError: whatever else the check refuses, e.g. a folder without an SDK.
        """
        return checked_text(self.name, text, self.check)


def option(
    default: Text,
    help: str,
    check: Check = lambda text: text,
    *,
    metavar: str = "",
    details: str = "",
    variable: str = "",
) -> Any:
    """Return a dataclass's field that is an option; its name is the field's."""
    parts = {"default": default, "help": help, "check": check, "metavar": metavar}
    return field(metadata={_KEY: {**parts, "details": details, "variable": variable}})


def of(kind: type[Any]) -> dict[str, Option]:
    """Return the options of a dataclass by name, in the order of its fields."""
    return {
        entry.name: Option(entry.name, **entry.metadata[_KEY])
        for entry in fields(kind)
        if _KEY in entry.metadata
    }


def checked(kind: type[Kind], texts: Mapping[str, Any]) -> Kind:
    """Return a dataclass of checked options; those that `texts` leaves out have their default.

    Raises:
        UsageError: a text stands for no value.
        TypeError: there is no such option.
    """
    known = of(kind)
    if unknown := set(texts) - set(known):
        raise TypeError(f"{kind.__name__} has no options {sorted(unknown)}")
    values = {name: entry.value(texts.get(name, entry.default)) for name, entry in known.items()}
    return kind(**values)


def checked_text(name: str, text: Text | None, check: Check) -> Any:
    """Return the value that the text of an option stands for, None where there is no text.

    Raises:
        UsageError: it stands for none.
    """
    try:
        return None if text is None else check(text)
    except ValueError as error:
        remedy = error.remedy if isinstance(error, NoPathError) else ""
        what = f"{flag(name)} {excerpt(str(text), _SHOWN)}: {error}."
        raise UsageError(what, remedy=remedy) from None


def _is_utf8(path: Path) -> bool:
    try:
        path.as_posix().encode()
    except UnicodeEncodeError:
        return False
    return True


def flag(name: str) -> str:
    """Return a parameter as a user types it, e.g. `--max-ms`."""
    return "--" + name.replace("_", "-")


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a check for one of a few words."""

    def check(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of: {', '.join(names)}")
        return text

    return check


def number(rule: str, holds: Callable[[float], bool]) -> Callable[[str | float], float]:
    """Return a check for a finite number that obeys a rule; no text is 0."""

    def check(text: str | float) -> float:
        if text == "":
            return 0.0
        try:
            value = float(text) if _NUMBER.fullmatch(str(text)) else math.nan
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and holds(value)):
            raise ValueError(f"must be {rule}")
        return value

    return check


def new_file(name: str, text: str, *, replaces: bytes = b"") -> Path:
    """Return the path of a file that an option asks for, where it can be written.

    Args:
        name: the option's name.
        text: its value.
        replaces: what stands at the beginning of a file that may be replaced.

    Raises:
        UsageError: it is a folder, is in none, its folder cannot be written to, or another file is
            there.
    """
    file: Path = checked_text(name, text, path)
    reason = ""
    if file.is_dir():
        reason = "it is a folder"
    elif not file.parent.is_dir():
        reason = f"there is no folder {file.parent}"
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        reason = "it cannot be written"
    elif not _may_be_replaced(file, replaces):
        reason = "another file is there, which would be lost"
    if reason:
        raise UsageError(
            f"{flag(name)} {text}: {reason}.", remedy="give a new file in a folder of yours"
        )
    return file


def _may_be_replaced(file: Path, beginning: bytes) -> bool:
    """Tell whether a file is not there, is empty, is no plain file, or has a text at its start."""
    if not file.is_file() or not file.stat().st_size:
        return True
    try:
        with file.open("rb") as opened:
            return beginning in opened.read(_BEGINNING)
    except OSError:
        return False


def path(text: str | Path) -> Path:
    """Return the absolute path that a user means, `~` expanded.

    Raises:
        NoPathError: there is no such user, or no file can have such a name; or it is an address.
    """
    if _ADDRESS.match(os.fspath(text)):
        raise _address(os.fspath(text))
    try:
        expanded = Path(text).expanduser()
    except RuntimeError:
        raise NoPathError("there is no such user", "give the whole path, from / on") from None
    try:
        resolved = expanded.resolve()
    except RuntimeError:
        raise NoPathError("links lead in a circle", "give the path of the file itself") from None
    longest = max(len(os.fsencode(part)) for part in resolved.parts)
    if longest > _NAME or len(os.fsencode(resolved)) > _PATH:
        most = f"a name has {_NAME} bytes at most, a path {_PATH}"
        raise NoPathError("no path is that long", most)
    if not _is_utf8(resolved):
        raise NoPathError("its name is not UTF-8", "rename it: the container engine needs that")
    return resolved


def _address(text: str) -> NoPathError:
    """Return the refusal of an address in place of a path."""
    what = "is an address, and this takes a path on this machine"
    scheme, _, rest = text.partition(":")
    if scheme.lower() == "file":
        return NoPathError(what, f"give {quoted(Path('/', rest.lstrip('/')))}")
    how = f"with `curl -fLO {shlex.quote(text)}`" if scheme.lower() in _CURL else "to a folder here"
    return NoPathError(what, f"fetch it first, e.g. {how}, and give the path of the copy")
