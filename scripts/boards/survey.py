"""What is on a board already, and what of a package remains to be sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.boards.connection import Board
from scripts.boards.resources import script
from scripts.package.item import Entry
from scripts.package.package import Unpacked

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Survey:
    """The releases of a board.

    `current` is the digest in use or empty; `history` the digests that were, oldest first;
    `releases` the SHA-256 of each file by path, by digest; `names` all folders, unfinished ones
    too; `parts` size and SHA-256 of what has arrived of an upload; `owner` who deploys now.
    """

    current: str
    history: tuple[str, ...]
    releases: Mapping[str, Mapping[str, str]]
    names: tuple[str, ...]
    parts: Mapping[str, tuple[int, str]]
    owner: str


@dataclass(frozen=True)
class Plan:
    """What an upload does: files to drop, to link from a release, and to send from an offset."""

    drop: tuple[str, ...]
    link: tuple[tuple[str, str], ...]
    send: tuple[tuple[Entry, int], ...]

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(entry.size - offset for entry, offset in self.send)


async def survey(board: Board, digest: str = "", *, locked: bool = False) -> Survey:
    """Look at a board's releases, and at the parts of the upload of `digest`.

    `locked` says that we hold the lock, and so may end what a lost connection left writing.

    Raises:
        DeviceError: the folder cannot be read.
    """
    return parse(
        await board.run(script("survey.sh"), board.device.path, digest, "mine" if locked else "")
    )


def parse(answer: str) -> Survey:
    """Return what the answer of `survey.sh` says."""
    said: dict[str, list[list[str]]] = {}
    for line in answer.splitlines():
        key, *values = line.split("\t")
        said.setdefault(key, []).append(values)
    releases: dict[str, dict[str, str]] = {}
    for name, digest, path in said.get("sum", []):
        releases.setdefault(name, {})[path] = digest
    return Survey(
        current="".join(values[0] for values in said.get("current", [])),
        history=tuple(values[0] for values in said.get("history", [])),
        releases=releases,
        names=tuple(values[0] for values in said.get("release", [])),
        parts={path: (int(size), digest) for size, digest, path in said.get("part", [])},
        owner="".join(values[0] for values in said.get("owner", [])),
    )


def plan(shipment: Unpacked, found: Survey, *, link: bool = True) -> Plan:
    """Return what to do so that all files of a package are on the board.

    A part whose bytes are the beginning of its file is gone on with; any other is dropped.
    """
    wanted = {entry.path: entry for entry in shipment.package.entries}
    drop = [path for path in found.parts if path not in wanted]
    links, send = [], []
    sources = _sources(found) if link else {}
    for path, entry in wanted.items():
        size, digest = found.parts.get(path, (0, ""))
        if size == entry.size and digest == entry.sha256:
            continue
        if 0 < size < entry.size and digest == _beginning(shipment.folder / path, size):
            send.append((entry, size))
            continue
        drop += [path] if path in found.parts else []
        if source := sources.get(entry.sha256):
            links.append((source, path))
        else:
            send.append((entry, 0))
    return Plan(tuple(drop), tuple(links), tuple(send))


def _sources(found: Survey) -> dict[str, str]:
    """Return a file on the board, relative to its folder of releases, for each SHA-256."""
    return {
        digest: f"{release}/{path}"
        for release, files in found.releases.items()
        for path, digest in files.items()
    }


def _beginning(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _CHUNK))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
