"""What is on a board already, and what of a package remains to be sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.boards import shell
from scripts.boards.board import SECONDS_OF_HASHING, Board
from scripts.errors import DeviceError
from scripts.package.item import Entry
from scripts.package.package import Unpacked

_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RELEASE = re.compile(r"[0-9a-f]{64}(\.partial)?(\.removed)?")
_FIELDS = {"current": 1, "history": 1, "owner": 1, "release": 1, "sum": 3, "part": 3}


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
    answer = await board.run(
        "survey.sh",
        board.device.path,
        digest,
        "mine" if locked else "",
        seconds=SECONDS_OF_HASHING,
    )
    return parse(answer, board.device.path)


def parse(answer: bytes, path: str) -> Survey:
    """Return what the answer of `survey.sh` says of the folder `path`.

    Raises:
        DeviceError: the answer is none of that script, or `current` is not of our making.
    """
    table = shell.rows(answer, _FIELDS)
    releases: dict[str, dict[str, str]] = {}
    for name, digest, file in table["sum"]:
        if _DIGEST.fullmatch(name) and _DIGEST.fullmatch(digest) and shell.is_plain(file):
            releases.setdefault(name, {})[file] = digest
    return Survey(
        current=_current(table["current"], path),
        history=tuple(name for (name,) in table["history"] if _DIGEST.fullmatch(name)),
        releases=releases,
        names=tuple(name for (name,) in table["release"] if _RELEASE.fullmatch(name)),
        parts={file: (shell.number(size), digest) for size, digest, file in table["part"]},
        owner="".join(shell.printable(name.encode()) for (name,) in table["owner"]),
    )


def _current(rows: list[tuple[str, ...]], path: str) -> str:
    """Return the digest that `current` leads to; what we did not make is left alone."""
    if not rows:
        return ""
    folder, _, digest = rows[0][0].partition("/")
    if folder != "releases" or not _DIGEST.fullmatch(digest):
        target = shell.printable(rows[0][0].encode())
        raise DeviceError(
            f"{path}/current on the board is {f'a link to {target}' if target else 'no link'}, and"
            " none of our releases.",
            cause="another program keeps its releases in this folder too",
            remedy="give the device a path of its own in devices.toml, or move `current` away",
        )
    return digest


def plan(shipment: Unpacked, survey: Survey, *, link: bool = True) -> Plan:
    """Return what to do so that all files of a package are on the board.

    A part whose bytes are the beginning of its file is gone on with; any other is dropped. What is
    there of no file of the package is removed by `prepare.sh`.
    """
    entries = {entry.path: entry for entry in shipment.package.entries}
    drop, links, send = [], [], []
    sources = _sources(survey) if link else {}
    for path, entry in entries.items():
        size, digest = survey.parts.get(path, (0, ""))
        if size == entry.size and digest == entry.sha256:
            continue
        if 0 < size < entry.size and digest == _beginning(shipment.folder / path, size):
            send.append((entry, size))
            continue
        drop += [path] if path in survey.parts else []
        if source := sources.get(entry.sha256):
            links.append((source, path))
        else:
            send.append((entry, 0))
    return Plan(tuple(drop), tuple(links), tuple(send))


def _sources(survey: Survey) -> dict[str, str]:
    """Return a file on the board, relative to its folder of releases, for each SHA-256."""
    return {
        digest: f"{release}/{path}"
        for release, files in survey.releases.items()
        for path, digest in files.items()
    }


def _beginning(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _CHUNK))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
