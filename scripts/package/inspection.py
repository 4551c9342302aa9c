"""What `invoke inspect ARCHIVE` shows: every file checked, then what the package is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.package import document, package, provenance, signature
from scripts.package.package import Package

Rows = list[tuple[str, ...]]
Table = tuple[str, Rows]
# What is shown of a provenance statement.
_BUILD = {"externalParameters": {}, "resolvedDependencies": [{"name": str}]}
_STATEMENT: document.Shape = {"predicate": {"buildDefinition": _BUILD}}
_NONE = "none"
_NONE_SHOWN = "none: nothing shows who made this package, nor that what it says of itself is true"


@dataclass(frozen=True)
class Inspection:
    """A package that was read through, its documents, and what is known of its signature."""

    package: Package
    documents: Mapping[str, bytes]
    signature: str

    def tables(self) -> list[Table]:
        """Return titles and rows for people.

        Raises:
            ArtefactError: the provenance statement is not one.
        """
        facts = self.package.manifest.facts
        needs, weights = facts["needs"], facts["weights"]
        rows: Rows = [
            ("digest", self.package.digest),
            ("model", facts["model"]["description"]),
            ("weights", f"{weights['source']} ({weights['sha256']})"),
            ("licence", weights["licence"]),
            ("precision", facts["precision"]["name"]),
            ("target", facts["target"]["description"]),
            ("QNN build", self.package.manifest.build_id),
            ("needs", f"glibc {needs['glibc']}, {', '.join(needs['libraries'])}"),
            ("signature", _NONE_SHOWN if self.signature == _NONE else self.signature),
        ]
        figures = _flat(facts["accuracy"]) + _flat(facts["simulated_latency"])
        entries = self.package.entries
        files: Rows = [(file.sha256, file.mode, f"{file.size:,}", file.path) for file in entries]
        return [
            (self.package.manifest.name, rows),
            *_origin(self.documents.get(provenance.FILE, b"")),
            ("files, all whole", files),
            ("accuracy and simulated latency", figures),
        ]

    def record(self) -> dict[str, Any]:
        """Return the same for programs: docs/options.md names the fields."""
        return {
            "name": self.package.manifest.name,
            "digest": self.package.digest,
            "signature": self.signature,
            "build_id": self.package.manifest.build_id,
            "facts": self.package.manifest.facts,
            "files": [asdict(file) for file in self.package.entries],
        }


def inspect(archive: Path, signers: Path | None = None) -> Inspection:
    """Read all of an archive, and hold every file against its manifest.

    `signers` is a file in OpenSSH's allowed_signers format; with it, a signature is required.

    Raises:
        UsageError: there is no archive.
        ArtefactError: the archive is damaged.
        KeyFileError, SignatureError: see `signature.verified`.
    """
    with signature.verified(archive, [signers] if signers else []) as (own, names):
        content, documents = package.read(own)
    return Inspection(content, documents, _signature(archive, names))


def _signature(archive: Path, names: list[str]) -> str:
    if names:
        return f"by {', '.join(names)}"
    present = signature.path_of(archive).is_file()
    return "present, not checked: give the allowed signers" if present else _NONE


def _origin(statement: bytes) -> list[Table]:
    build = document.load(statement, provenance.FILE, _STATEMENT)["predicate"]["buildDefinition"]
    inputs: Rows = [(item["name"], _identity(item)) for item in build["resolvedDependencies"]]
    return [("asked for", _flat(build["externalParameters"])), ("made from", inputs)]


def _identity(dependency: Mapping[str, Any]) -> str:
    digests = _flat(dependency.get("digest", {}))
    return ", ".join(" ".join(row) for row in digests) or str(dependency.get("uri", ""))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Rows:
    rows: Rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name} ")
        elif value is not None and not isinstance(value, list):
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}".replace("_", " "), text))
    return rows
