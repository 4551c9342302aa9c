"""The signed provenance of an archive: what its own statement says, said of the archive as a whole.

`provenance.intoto.json` in the package is about its files, and whoever changes them can change it.
"""

from __future__ import annotations

from pathlib import Path

from scripts import attestation, digests, writing
from scripts.package import document, package, provenance

_SHAPE: document.Shape = {"predicateType": str, "predicate": {}}


def path_of(archive: Path) -> Path:
    """Return where the signed provenance of an archive stands: beside it."""
    return archive.with_name(archive.name + ".intoto.jsonl")


def attest(archive: Path, key: Path) -> Path | None:
    """Sign the provenance of an archive with a key, None where the key is not in its file.

    Raises:
        ArtefactError: the archive is damaged.
        KeyFileError: the key cannot be used.
    """
    signer = attestation.signer(key)
    if signer is None:
        path_of(archive).unlink(missing_ok=True)  # another key signed that
        return None
    _, documents = package.read(archive)
    said = document.load(documents.get(provenance.FILE, b""), provenance.FILE, _SHAPE)
    digest = {"sha256": digests.of_file(archive)}
    content = attestation.statement(archive.name, digest, said["predicateType"], said["predicate"])
    return writing.replace(path_of(archive), attestation.envelope(content, signer))
