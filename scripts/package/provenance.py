"""Where a package comes from: an in-toto statement with an SLSA v1 provenance predicate.

It says what was asked and what went in. No times: the same build gives the same statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scripts.errors import UsageError
from scripts.package.compiler import COMPILER
from scripts.package.item import Entry

FILE = "provenance.intoto.json"
# The type says which parameters and dependencies a statement has: those of `make`.
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
    subjects = sorted(entries, key=lambda entry: entry.path)
    names = {name: facts[name]["name"] for name in ("model", "precision", "target")}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": entry.path, "digest": {"sha256": entry.sha256}} for entry in subjects],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {**names, **host.get("parameters", {})},
                "resolvedDependencies": [*dependencies(facts), *host.get("materials", ())],
            },
            "runDetails": {"builder": {"id": BUILDER}},
        },
    }


def dependencies(facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the manifest says went in, each with a digest or, random weights, a seed."""
    if digest := facts["source"]["digest"]:
        yield {"name": "source", "digest": digest}
    algorithm, _, digest = facts["image"]["digest"].partition(":")
    if digest:
        yield {"name": "image", "digest": {algorithm: digest}}
    sdk = facts["sdk"]
    yield {
        "name": "sdk",
        "digest": {"sha256": sdk["sha256"]},
        "annotations": {"build_id": sdk["build_id"], "file": COMPILER},
    }
    yield from _weights(facts["weights"])


def _weights(weights: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if weights["synthetic"]:
        uri = f"urn:dinov3-qnn:weights:{weights['source']}"
        yield {"name": "weights", "uri": uri, "annotations": {"synthetic": True}}
    if commit := weights.get("commit"):
        uri = f"pkg:huggingface/{weights['source']}@{commit}"
        yield {"name": "weights", "uri": uri, "digest": {"gitCommit": commit}}
    for file in weights["files"]:
        yield {"name": f"weights/{file['name']}", "digest": {"sha256": file["sha256"]}}
