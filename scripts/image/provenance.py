"""Where an image comes from: an in-toto statement with an SLSA v1 provenance predicate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts import attestation, digests, source
from scripts.image import locks
from scripts.image.image import Image
from scripts.image.lanes import Lane

BUILD_TYPE = "urn:dinov3-qnn:image:1"
BUILDER = "urn:dinov3-qnn:builder:1"


def make(image: Image, lane: Lane, pulled_by: str) -> dict[str, Any]:
    """Return the statement about the image `NAME@sha256:...`: what it was made by and from."""
    name, _, digest = pulled_by.partition("@sha256:")
    bill = locks.bill(lane)
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"lane": lane.name},
            "internalParameters": {"inputs": image.inputs_digest},
            "resolvedDependencies": [
                {"name": "source", "digest": source.revision()},
                *_dependencies(bill),
            ],
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "byproducts": [
                {"name": "content", "digest": _digest_set(image.content_digest)},
                {"name": "image.cdx.json", "digest": {"sha256": digests.of_bytes(bill)}},
            ],
        },
    }
    return attestation.statement(name, {"sha256": digest}, attestation.PROVENANCE, predicate)


def _dependencies(bill: bytes) -> Iterator[dict[str, Any]]:
    """Yield every file of a bill of materials, by its package URL and hash."""
    for part in json.loads(bill)["components"]:
        for item in part.get("hashes", ()):
            yield {"uri": part["purl"], "digest": {"sha256": item["content"]}}


def _digest_set(text: str) -> dict[str, str]:
    algorithm, _, digest = text.partition(":")
    return {algorithm: digest}
