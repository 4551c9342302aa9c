"""What source files import, and the data that they name; kept, as to parse them takes its time."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts import digests, writing

# More than months of edits leave behind.
_MOST = 5000
_FILE_NAME = re.compile(r"[\w-][\w.-]*\.\w+")


@dataclass(frozen=True)
class Names:
    """The modules that a source file imports, and its texts that can be the name of a file."""

    modules: tuple[str, ...]
    files: tuple[str, ...]


class Memory:
    """What was parsed before: names by the SHA-256 of a file's text, for the rules of this file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._names = _load(file)
        self._saved = len(self._names)

    def names(self, text: bytes, sha256: str) -> Names:
        """Return what the text of a source file names; `sha256` is its digest."""
        if sha256 not in self._names:
            self._names[sha256] = _parsed(text)
        return self._names[sha256]

    def save(self) -> None:
        """Keep what was parsed for other runs; where it cannot be written, they parse again."""
        if len(self._names) == self._saved:
            return
        self._saved = len(self._names)
        texts = {sha256: [names.modules, names.files] for sha256, names in self._names.items()}
        with suppress(OSError):
            writing.replace(self._file, json.dumps({"rules": _rules(), "texts": texts}).encode())


def _load(file: Path) -> dict[str, Names]:
    """Return what is kept; nothing where that is damaged, of other rules, or has grown too long."""
    try:
        document = json.loads(file.read_bytes())
        texts = document["texts"] if document["rules"] == _rules() else {}
        known = {
            sha256: Names(tuple(first), tuple(then)) for sha256, (first, then) in texts.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return known if len(known) < _MOST else {}


@cache
def _rules() -> str:
    return digests.of_file(Path(__file__))


def _parsed(text: bytes) -> Names:
    nodes = list(ast.walk(ast.parse(text)))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    files = {name for name in texts if isinstance(name, str) and _FILE_NAME.fullmatch(name)}
    return Names(tuple(_imports(nodes)), tuple(sorted(files)))


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
