"""What a package may hold, said once for what packs, reads, shows and sends one.

A package may come from anybody. It is regular files, each once, in folders below one root, with
plain names and one of two modes; their number and size are bounded. Names are of an alphabet that
no shell, terminal, tab-separated list or option parser takes for anything else. The board's side
of it is `plain` in `scripts/boards/prelude.sh`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from scripts.errors import ArtefactError

MODES = (0o644, 0o755)
MAX_FILES = 1000
MAX_DEPTH = 8
MAX_PATH = 200
# Bytes: the most that a tar header can say, and twice the largest package of the family.
MAX_FILE = (8 << 30) - 1
MAX_PACKAGE = 16 << 30
MAX_DOCUMENT = 1 << 20
# Times that the files are larger than their archive; weights hardly compress.
MAX_EXPANSION = 200
_SMALL = 64 << 20
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", re.ASCII)
_SHOWN = 60


def refusal(what: str, *, cause: str = "", remedy: str = "") -> ArtefactError:
    """Return the error about an archive that is not as `invoke package` makes one."""
    return ArtefactError(
        what,
        cause=cause or "a copy was cut short or changed, or another program made the archive",
        remedy=remedy or "copy it again, or make it again with `invoke package`",
    )


@dataclass
class Contents:
    """The files of one package, as they come; `packed` is the size of its archive, where known."""

    packed: int | None = None
    _files: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)
    _size: int = 0

    def add(self, path: str, size: int, mode: int) -> None:
        """Take one more file.

        Raises:
            ArtefactError: it may not be in a package, or not beside those that are.
        """
        check_path(path)
        folders = {path[: match.start()] for match in re.finditer("/", path)}
        if path in self._files | self._folders or folders & self._files:
            raise refusal(f"{path} is more than once in the package.")
        if mode not in MODES:
            raise refusal(f"{path} has mode {mode:04o}; a package has 0644 and 0755 only.")
        if not 0 <= size <= MAX_FILE:
            raise refusal(f"{path} has {size} bytes, more than a file of a package has.")
        self._files.add(path)
        self._folders |= folders
        self._size += size
        self._check_bounds()

    def _check_bounds(self) -> None:
        if len(self._files) > MAX_FILES:
            raise refusal(f"The package has more than {MAX_FILES} files.")
        bound = MAX_PACKAGE
        if self.packed is not None:
            bound = min(bound, self.packed * MAX_EXPANSION + _SMALL)
        if self._size > bound:
            raise refusal(f"The package's files have more than {bound} bytes.")


def check_path(path: str) -> None:
    """Refuse a path that may not be in a package.

    Raises:
        ArtefactError: it is not plain names with slashes between, or too long or deep.
    """
    parts = path.split("/")
    plain = all(_PART.fullmatch(part) for part in parts)
    if not plain or len(parts) > MAX_DEPTH or len(path) > MAX_PATH:
        raise refusal(
            f"{shown(path)} is no name for a file of a package.",
            cause="another program made the archive, or a file to be packed has such a name",
            remedy="names are letters, digits and . _ + -, in relative folders: make the archive "
            "again with `invoke package`, the file renamed",
        )


def check_document(name: str, size: int, largest: int = MAX_DOCUMENT) -> None:
    """Refuse a document that is too large to be read whole.

    Raises:
        ArtefactError: it has more than `largest` bytes.
    """
    if size > largest:
        raise refusal(f"{name} has {size} bytes; at most {largest} are read.")


def shown(text: str) -> str:
    """Return a strange text in a form that a terminal can be given: quoted, escaped, cut."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
