"""What `invoke inspect ARCHIVE` shows: every file checked, then what the package is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.package import package, provenance, signature

Rows = list[tuple[str, ...]]
Table = tuple[str, Rows]


def tables(archive: Path, signers: Path | None = None) -> list[Table]:
    """Return titles and rows that describe an archive, after reading all of it.

    `signers` is a file in OpenSSH's allowed_signers format; with it, a signature is required.

    Raises:
        ArtefactError: the archive is damaged, or not signed by one of `signers`.
    """
    checked, documents = package.read(archive)
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
        ("signature", _signature(archive, signers)),
    ]
    figures = _flat(facts["accuracy"]) + _flat(facts["simulated_latency"])
    files: Rows = [(one.sha256, one.mode, f"{one.size:,}", one.path) for one in checked.entries]
    return [
        (checked.manifest.name, rows),
        *_origin(documents[provenance.FILE]),
        ("files, all whole", files),
        ("accuracy and simulated latency", figures),
    ]


def _signature(archive: Path, signers: Path | None) -> str:
    if signers:
        return f"by {signature.verify(archive, signers)}"
    present = signature.path_of(archive).is_file()
    return "present, not checked: give the allowed signers" if present else "none"


def _origin(statement: bytes) -> list[Table]:
    build = json.loads(statement)["predicate"]["buildDefinition"]
    inputs: Rows = [(one["name"], _identity(one)) for one in build["resolvedDependencies"]]
    return [("asked for", _flat(build["externalParameters"])), ("made from", inputs)]


def _identity(dependency: Mapping[str, Any]) -> str:
    digests = dependency.get("digest", {}).items()
    return ", ".join(" ".join(one) for one in digests) or str(dependency.get("uri", ""))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Rows:
    made: Rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            made += _flat(value, f"{prefix}{name} ")
        elif not isinstance(value, list):
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            made.append((f"{prefix}{name}".replace("_", " "), shown))
    return made
