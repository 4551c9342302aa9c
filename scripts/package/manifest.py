"""`manifest.json` and `SHA256SUMS`: what a package is, and what each of its files must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.errors import ArtefactError
from scripts.package.item import Entry

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """A package's manifest as read back: `facts` without the list of files, and the files."""

    facts: Mapping[str, Any]
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """The name of the package and of the folder in its archive."""
        return str(self.facts["name"])

    @property
    def build_id(self) -> str:
        """Qualcomm's build id of every library and of the context binary."""
        return str(self.facts["sdk"]["build_id"])

    def role(self, role: str) -> list[str]:
        """Return the paths of all files with a role, e.g. "runtime"."""
        return [entry.path for entry in self.entries if entry.role == role]


def dump(facts: Mapping[str, Any], entries: Iterable[Entry]) -> bytes:
    """Return `manifest.json`."""
    files = [entry.as_json() for entry in sorted(entries, key=lambda one: one.path)]
    return as_json({"schema": SCHEMA, **facts, "files": files})


def load(data: bytes) -> Manifest:
    """Return the manifest in `data`.

    Raises:
        ArtefactError: it is not one of ours, or of a later schema.
    """
    try:
        facts = json.loads(data)
        entries = tuple(Entry(**file) for file in facts.pop("files"))
        schema = facts["schema"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{MANIFEST} is not a manifest of ours: {error}") from error
    if schema != SCHEMA:
        raise ArtefactError(
            f"The package's manifest has schema {schema}; this program knows {SCHEMA}.",
            remedy="inspect and deploy it with the release that made it",
        )
    return Manifest(facts, entries)


def sums(entries: Iterable[Entry], manifest: bytes) -> bytes:
    """Return `SHA256SUMS`: every file but itself, in the form that `sha256sum -c` takes."""
    lines = {entry.path: entry.sha256 for entry in entries}
    lines[MANIFEST] = hashlib.sha256(manifest).hexdigest()
    return "".join(f"{lines[path]}  {path}\n" for path in sorted(lines)).encode()


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON whose bytes depend on its values only."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
