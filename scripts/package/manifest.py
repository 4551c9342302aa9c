"""`manifest.json` and `SHA256SUMS`: what a package is, and what each of its files must be."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.errors import ArtefactError
from scripts.package import document, rule
from scripts.package.item import Entry

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
# What the path of a golden input begins with.
GOLDEN_INPUT = "golden/input."
# The report that people look at.
PAGE = "reports/report.html"
SCHEMA = 1
_FILE = {"path": str, "size": int, "mode": str, "sha256": str, "role": str}
# What readers of a manifest rely on.
_SHAPE = {
    "name": str,
    "files": [_FILE],
    "model": {"description": str},
    "weights": {"source": str, "sha256": str, "licence": str},
    "precision": {"name": str},
    "target": {"name": str, "description": str, "socs": [str], "arch": str},
    "sdk": {"build_id": str},
    "needs": {"glibc": str, "libraries": [str]},
    "accuracy": {},
    "simulated_latency": {},
}


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
    files = [entry.as_json() for entry in sorted(entries, key=lambda entry: entry.path)]
    return as_json({"schema": SCHEMA, **facts, "files": files})


def load(data: bytes) -> Manifest:
    """Return the manifest in `data`.

    Raises:
        ArtefactError: it is not one of ours, of a later schema, or lists what no package may hold.
    """
    schema = document.load(data, MANIFEST, {"schema": int})["schema"]
    if schema != SCHEMA:
        raise ArtefactError(
            f"The package's manifest has schema {schema}; this program knows {SCHEMA}.",
            cause="a later release of this program made it, or it was changed by hand",
            remedy="inspect and deploy it with the release that made it",
        )
    facts = document.load(data, MANIFEST, _SHAPE)
    contents = rule.Contents()
    entries = tuple(_entry(file, contents) for file in facts.pop("files"))
    rule.check_path(facts["name"])
    return Manifest(facts, entries)


def _entry(file: Mapping[str, Any], contents: rule.Contents) -> Entry:
    if not re.fullmatch(r"0[0-7]{3}", file["mode"]) or not re.fullmatch(
        r"[0-9a-f]{64}", file["sha256"]
    ):
        raise rule.refusal(f"{MANIFEST} lists {rule.shown(file['path'])} without mode or hash.")
    contents.add(file["path"], file["size"], int(file["mode"], 8))
    return Entry(**{name: file[name] for name in _FILE})


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says of the network as a whole, and not of single pictures."""
    return {
        name: value
        for name, value in report.items()
        if not (isinstance(value, list) or name.endswith("_by_picture"))
    }


def sums(entries: Iterable[Entry], manifest: bytes) -> bytes:
    """Return `SHA256SUMS`: every file but itself, in the form that `sha256sum -c` takes."""
    lines = {entry.path: entry.sha256 for entry in entries}
    lines[MANIFEST] = hashlib.sha256(manifest).hexdigest()
    return "".join(f"{lines[path]}  {path}\n" for path in sorted(lines)).encode()


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON whose bytes depend on its values only."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
