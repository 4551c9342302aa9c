"""What a board says about itself, read before a byte of a package is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scripts.boards.connection import Board
from scripts.boards.resources import script


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
    `search` the variables that hold a skel search path, `missing` commands it lacks.
    """

    arch: str
    socs: tuple[str, ...]
    model: str
    glibc: str
    free: int
    writable: bool
    libraries: frozenset[str]
    nodes: tuple[str, ...]
    denied: tuple[str, ...]
    search: dict[str, str]
    skels: tuple[Skel, ...]
    missing: tuple[str, ...]


async def probe(board: Board, libraries: Iterable[str], skel: str) -> Facts:
    """Ask a board; `libraries` are those to look for, `skel` the file name of the HTP skel.

    Raises:
        DeviceError: the board's shell cannot even run the questions.
    """
    return parse(await board.run(script("probe.sh"), board.device.path, skel, *libraries))


def parse(answer: str) -> Facts:
    """Return the facts in the answer of `probe.sh`: lines of a key and values between tabs."""
    said: dict[str, list[list[str]]] = {}
    for line in answer.splitlines():
        key, *values = line.split("\t")
        said.setdefault(key, []).append(values)
    texts = {key: [values[0] for values in rows if values] for key, rows in said.items()}

    def all_of(key: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for text in texts.get(key, []) if text))

    def first(key: str) -> str:
        return next(iter(all_of(key)), "")

    return Facts(
        arch=first("arch"),
        socs=all_of("soc"),
        model=first("model"),
        glibc=first("glibc"),
        free=int(first("free_kb") or 0) * 1024,
        writable=first("writable") == "yes",
        libraries=frozenset(all_of("library")),
        nodes=all_of("node"),
        denied=all_of("denied"),
        search={row[0]: row[1] for row in said.get("search", [])},
        skels=tuple(Skel(*values) for values in said.get("skel", [])),
        missing=all_of("missing"),
    )
