"""What is sent to a board and what comes back: scripts, their orders, and answers between marks.

A log-in may print before a script does, and a connection may end before it has: what is believed
stands between two marks that nobody else can know.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts.errors import ArtefactError, DeviceError, reason
from scripts.package import rule

# The end of all orders, which the prelude's `orders` waits for.
END_OF_ORDERS = "end"
_LONGEST_QUOTE = 200


@dataclass(frozen=True)
class Script:
    """A shell script as it is sent, and the marks around its answer."""

    text: str
    begin: bytes
    end: bytes

    def answer(self, output: bytes) -> bytes:
        """Return what a script that succeeded printed, without what its log-in printed.

        Raises:
            DeviceError: the marks are not there.
        """
        head, begin, rest = output.partition(self.begin)
        answer, end, _ = rest.rpartition(self.end)
        if not begin:
            raise nonsense(head, "its log-in (.bashrc, .profile) ends before our command does")
        if not end:
            raise nonsense(rest, "its answer has no end")
        return answer


def rendered(name: str) -> Script:
    """Return a script of this folder, e.g. `probe.sh`, with the prelude and marks of its own.

    The marks are sent in halves: a log-in that prints its command does not print them.
    """
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    lines = [
        _text("prelude.sh"),
        f"printf '%s%s begin\\n' {first} {second}",
        f"(\n{_text(name)})",
        "code=$?",
        f"[ $code != 0 ] || printf '\\n%s%s end\\n' {first} {second}",
        "exit $code",
    ]
    mark = first + second
    return Script("\n".join(lines), f"{mark} begin\n".encode(), f"\n{mark} end\n".encode())


def order(*fields: str) -> str:
    """Return one line of orders: a verb and plain names, between tabs.

    Raises:
        ArtefactError: a name could be taken for something else than a path of a package.
    """
    for field in fields:
        rule.check_path(field)
    return "\t".join(fields)


def is_plain(name: str) -> bool:
    """Return whether a name is a relative path as files of a package have it."""
    try:
        rule.check_path(name)
    except ArtefactError:
        return False
    return True


def rows(answer: bytes, fields: Mapping[str, int]) -> dict[str, list[tuple[str, ...]]]:
    """Return the values of an answer's lines by their key; `fields` says how many a key has.

    Raises:
        DeviceError: a line has another key, or another number of values.
    """
    table: dict[str, list[tuple[str, ...]]] = {key: [] for key in fields}
    for line in answer.decode(errors="replace").split("\n"):
        key, *values = line.split("\t")
        if not line:
            continue
        if len(values) != fields.get(key):
            raise nonsense(line.encode(), "a program of the board is not what its name says")
        table[key].append(tuple(values))
    return table


def number(text: str) -> int:
    """Return a number that a board prints.

    Raises:
        DeviceError: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise nonsense(text.encode(), "a program of the board is not what its name says")
    return int(text)


def nonsense(text: bytes, cause: str) -> DeviceError:
    """Return the error of an answer that no script of ours gives."""
    return DeviceError(
        f"The board answers what none of our scripts says: {printable(text[-_LONGEST_QUOTE:])!r}",
        cause=cause,
        remedy="try `ssh` by hand with a command, e.g. `true`: it must print nothing and succeed",
    )


def printable(text: bytes) -> str:
    """Return text from a board as it may be shown: without what steers a terminal."""
    characters = text.decode(errors="replace").replace("\r", "").expandtabs()
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in characters)


def why(error: Exception) -> str:
    """Return why a connection failed, in one line that may be shown: a server says a part of it."""
    text = printable(reason(error).encode(errors="replace"))
    return " ".join(text.split()) or type(error).__name__


def document(orders: Iterable[str]) -> bytes:
    """Return orders as they are sent: a line each, and the line that ends them."""
    return "".join(f"{line}\n" for line in (*orders, END_OF_ORDERS)).removesuffix("\n").encode()


@cache
def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text()
