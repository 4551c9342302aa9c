"""Where a package comes from: an in-toto statement with an SLSA v1 provenance predicate.

It says what was asked and what went in. No times: the same build gives the same statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.errors import UsageError
from scripts.package.item import Entry

FILE = "provenance.intoto.json"
BUILD_TYPE = "urn:dinov3-qnn:build:1"
BUILDER = "urn:dinov3-qnn:builder:1"


def facts_from(text: str) -> dict[str, Any]:
    """Return the host's facts: `image` (digest), `source`, `parameters`, `materials`.

    Raises:
        UsageError: the text is not a JSON object.
    """
    try:
        facts = json.loads(text or "{}")
    except ValueError as error:
        raise UsageError(f"--provenance-facts is not JSON: {error}") from error
    if not isinstance(facts, dict):
        raise UsageError("--provenance-facts is not a JSON object.")
    return facts


def make(
    facts: Mapping[str, Any], host: Mapping[str, Any], entries: Iterable[Entry]
) -> dict[str, Any]:
    """Return the statement about `entries`, from the manifest's facts and those of the host."""
    subjects = sorted(entries, key=lambda one: one.path)
    asked = {"model": facts["model"]["name"], "precision": facts["precision"]["name"]}
    asked |= {"target": facts["target"]["name"], "weights": facts["weights"]["source"]}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": one.path, "digest": {"sha256": one.sha256}} for one in subjects],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {**host.get("parameters", {}), **asked},
                "resolvedDependencies": list(_dependencies(facts, host)),
            },
            "runDetails": {"builder": {"id": BUILDER, "version": _builder_version(host)}},
        },
    }


def _dependencies(facts: Mapping[str, Any], host: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for file in facts["weights"]["files"]:
        yield {"name": f"weights/{file['name']}", "digest": {"sha256": file["sha256"]}}
    yield {"name": "sdk", "annotations": {"build_id": facts["sdk"]["build_id"]}}
    if source := host.get("source"):
        yield {"name": "source", **source}
    yield from sorted(host.get("materials", ()), key=lambda one: str(one.get("name", "")))


def _builder_version(host: Mapping[str, Any]) -> dict[str, str]:
    digest = host.get("image", {}).get("digest")
    return {"image": str(digest)} if digest else {}
