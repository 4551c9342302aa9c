"""What a board says about itself, read before a byte of a package is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.boards import shell
from scripts.boards.board import Board

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")
# How many values follow each key of the answer.
_SINGLE = ("arch", "soc", "model", "glibc", "free_kb", "writable", "unwritable", "executable")
_FIELDS = dict.fromkeys((*_SINGLE, "node", "denied", "missing"), 1)
_FIELDS |= {"library": 2, "search": 2, "skel": 3}


@dataclass(frozen=True)
class Skel:
    """A file of Qualcomm's on the board; `variable` names the search path it was found by."""

    path: str
    build_id: str
    variable: str


@dataclass(frozen=True)
class Facts:
    """What is known of a board; empty where it does not say.

    `socs` are its names for its SoC, `nodes` FastRPC's device nodes that the user may open,
    `search` the variables that hold a skel search path, `missing` commands it lacks, `libraries`
    the path of each by its name. In the device's folder, files can be made (`writable`, else
    `unwritable` says why) and run (`executable`), which only a deployment asks for.
    """

    arch: str
    socs: tuple[str, ...]
    model: str
    glibc: str
    free: int
    writable: bool
    libraries: Mapping[str, str]
    nodes: tuple[str, ...]
    denied: tuple[str, ...]
    search: dict[str, str]
    skels: tuple[Skel, ...]
    missing: tuple[str, ...]
    executable: bool = True
    unwritable: str = ""


async def probe(board: Board, libraries: Iterable[str], skel: str) -> Facts:
    """Ask a board; `libraries` are those to look for, `skel` the file name of the HTP skel.

    Raises:
        DeviceError: the board's shell cannot even run the questions.
    """
    return parse(await board.run("probe.sh", board.device.path, skel, *libraries))


def parse(answer: bytes) -> Facts:
    """Return the facts in the answer of `probe.sh`: lines of a key and values between tabs.

    Raises:
        DeviceError: the answer is none of that script.
    """
    table = shell.rows(answer, _FIELDS)

    def all_of(key: str) -> tuple[str, ...]:
        values = (shell.printable(row[0].encode()) for row in table[key])
        return tuple(dict.fromkeys(value for value in values if value))

    def first(key: str) -> str:
        return next(iter(all_of(key)), "")

    return Facts(
        arch=first("arch"),
        socs=all_of("soc"),
        model=first("model"),
        glibc=first("glibc") if _VERSION.fullmatch(first("glibc")) else "",
        free=shell.number(first("free_kb") or "0") * 1024,
        writable=first("writable") == "yes",
        libraries={row[0]: row[1] for row in reversed(table["library"])},
        nodes=all_of("node"),
        denied=all_of("denied"),
        search={row[0]: row[1] for row in table["search"]},
        skels=tuple(Skel(*row) for row in table["skel"]),
        missing=all_of("missing"),
        executable=first("executable") == "yes",
        unwritable=first("unwritable"),
    )
