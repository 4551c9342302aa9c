"""A CycloneDX 1.5 software bill of materials of a package, with neither a time nor a random id.

It is made in the image, which has no library for it. What the image itself is made of stands in the
image's own bill of materials, to which it refers by number and hash.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.package.item import Entry

FILE = "sbom.cdx.json"
_TYPES = {
    "context binary": "machine-learning-model",
    "model library": "library",
    "runtime": "library",
    "runner": "application",
    "runner library": "library",
}
_LICENCES = {
    "runtime": "Qualcomm's terms, see licences/qualcomm",
    "runner": "Apache-2.0, with MIT parts, see licences/dinov3-qnn",
    "runner library": "Apache-2.0, with MIT parts, see licences/dinov3-qnn",
}


def make(facts: Mapping[str, Any], entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the bill of materials: one component a file, the package as their parent."""
    components = [
        _component(facts, entry) for entry in sorted(entries, key=lambda entry: entry.path)
    ]
    name = facts["name"]
    digests = " ".join(component["hashes"][0]["content"] for component in components)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{name} {digests}')}",
        "version": 1,
        "metadata": {"component": {"type": "firmware", "name": name, "bom-ref": name}},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [part["bom-ref"] for part in components]}],
        **_references(facts["image"]),
    }


def _references(image: Mapping[str, Any]) -> dict[str, Any]:
    bom = image.get("bom")
    if not bom:
        return {}
    reference = {
        "type": "bom",
        "url": bom["link"],
        "comment": "the image that it was built in",
        "hashes": [{"alg": "SHA-256", "content": bom["sha256"]}],
    }
    return {"externalReferences": [reference]}


def _component(facts: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": _TYPES.get(entry.role, "file"),
        "bom-ref": entry.path,
        "name": entry.path,
        "hashes": [{"alg": "SHA-256", "content": entry.sha256}],
    }
    if entry.role in ("runtime", "context binary"):
        component["version"] = facts["sdk"]["build_id"]
    if entry.role == "runtime":
        component["supplier"] = {"name": "Qualcomm Technologies, Inc."}
    if licence := _licence(facts, entry.role):
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def _licence(facts: Mapping[str, Any], role: str) -> str | None:
    if role in ("context binary", "model library"):
        return str(facts["weights"]["licence"])
    return _LICENCES.get(role)
