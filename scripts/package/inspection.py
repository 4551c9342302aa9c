"""What `invoke inspect ARCHIVE` shows: every file checked, then what the package is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.package import package, signature

Rows = list[tuple[str, ...]]
Table = tuple[str, Rows]


def tables(archive: Path, signers: Path | None = None) -> list[Table]:
    """Return titles and rows that describe an archive, after reading all of it.

    `signers` is a file in OpenSSH's allowed_signers format; with it, a signature is required.

    Raises:
        ArtefactError: the archive is damaged, or not signed by one of `signers`.
    """
    checked = package.check(archive)
    facts = checked.manifest.facts
    rows: Rows = [
        ("digest", checked.digest),
        ("model", facts["model"]["description"]),
        ("weights", f"{facts['weights']['source']} ({facts['weights']['sha256']})"),
        ("licence", facts["weights"]["licence"]),
        ("precision", facts["precision"]["name"]),
        ("target", facts["target"]["description"]),
        ("QNN build", checked.manifest.build_id),
        ("build image", facts["image"]["digest"]),
        ("source", _named(facts["source"]["digest"])),
        ("needs", f"glibc {facts['needs']['glibc']}, {', '.join(facts['needs']['libraries'])}"),
        ("signature", _signature(archive, signers)),
    ]
    figures = _flat(facts["accuracy"]) + _flat(facts["simulated_latency"])
    files: Rows = [(one.sha256, one.mode, f"{one.size:,}", one.path) for one in checked.entries]
    made: list[Table] = [(checked.manifest.name, rows), ("files, all whole", files)]
    return [*made, ("accuracy and simulated latency", figures)] if figures else made


def _signature(archive: Path, signers: Path | None) -> str:
    if signers:
        return f"by {signature.verify(archive, signers)}"
    present = signature.path_of(archive).is_file()
    return "present, not checked: give the allowed signers" if present else "none"


def _named(digests: Mapping[str, str]) -> str:
    return ", ".join(f"{algorithm} {digest}" for algorithm, digest in digests.items()) or "unknown"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Rows:
    made: Rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            made += _flat(value, f"{prefix}{name} ")
        elif not isinstance(value, list):
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            made.append((f"{prefix}{name}".replace("_", " "), shown))
    return made
