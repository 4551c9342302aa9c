"""What `invoke inspect ARCHIVE` shows: every file checked, then what the package is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.package import document, package, provenance, signature

Rows = list[tuple[str, ...]]
Table = tuple[str, Rows]
# What is shown of a provenance statement.
_BUILD = {"externalParameters": {}, "resolvedDependencies": [{"name": str}]}
_STATEMENT: document.Shape = {"predicate": {"buildDefinition": _BUILD}}


def tables(archive: Path, signers: Path | None = None) -> list[Table]:
    """Return titles and rows that describe an archive, after reading all of it.

    `signers` is a file in OpenSSH's allowed_signers format; with it, a signature is required.

    Raises:
        ArtefactError: the archive is damaged, or not signed by one of `signers`.
    """
    with signature.verified(archive, [signers] if signers else []) as (own, names):
        checked, documents = package.read(own)
    facts = checked.manifest.facts
    rows: Rows = [
        ("digest", checked.digest),
        ("model", facts["model"]["description"]),
        ("weights", f"{facts['weights']['source']} ({facts['weights']['sha256']})"),
        ("licence", facts["weights"]["licence"]),
        ("precision", facts["precision"]["name"]),
        ("target", facts["target"]["description"]),
        ("QNN build", checked.manifest.build_id),
        ("needs", f"glibc {facts['needs']['glibc']}, {', '.join(facts['needs']['libraries'])}"),
        ("signature", _signature(archive, names)),
    ]
    figures = _flat(facts["accuracy"]) + _flat(facts["simulated_latency"])
    files: Rows = [
        (entry.sha256, entry.mode, f"{entry.size:,}", entry.path) for entry in checked.entries
    ]
    return [
        (checked.manifest.name, rows),
        *_origin(documents.get(provenance.FILE, b"")),
        ("files, all whole", files),
        ("accuracy and simulated latency", figures),
    ]


def _signature(archive: Path, names: list[str]) -> str:
    if names:
        return f"by {', '.join(names)}"
    present = signature.path_of(archive).is_file()
    return "present, not checked: give the allowed signers" if present else "none"


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
        elif not isinstance(value, list):
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}".replace("_", " "), shown))
    return rows
