"""The bill of materials is one that CycloneDX 1.5 allows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.package import sbom
from scripts.package.contents import items
from tests import packages

# From bom-1.5.schema.json, as far as it is used: what each object may have and must have.
FIELDS = {
    "bom": "bomFormat specVersion serialNumber version metadata components dependencies",
    "component": "type bom-ref name version hashes licenses supplier",
    "dependency": "ref dependsOn",
}
REQUIRED = {
    "bom": {"bomFormat", "specVersion", "version"},
    "component": {"type", "name"},
    "dependency": {"ref"},
}
TYPES = {"application", "library", "firmware", "file", "machine-learning-model"}
SERIAL = "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def bill(folder: Path, seed: str = "") -> Any:
    made = items(packages.build(folder, seed=seed))
    source = next(item.source for item in made if item.path == sbom.FILE)
    assert isinstance(source, bytes)
    return json.loads(source)


def check(kind: str, document: dict[str, Any]) -> None:
    assert REQUIRED[kind] <= set(document) <= set(FIELDS[kind].split())


@pytest.fixture
def whole(tmp_path: Path) -> Any:
    return bill(tmp_path)


def test_its_frame_is_as_the_schema_has_it(whole: Any) -> None:
    check("bom", whole)
    assert (whole["bomFormat"], whole["specVersion"], whole["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(SERIAL, whole["serialNumber"])
    assert set(whole["metadata"]) == {"component"}


def test_its_components_are_as_the_schema_has_them(whole: Any) -> None:
    for one in [whole["metadata"]["component"], *whole["components"]]:
        check("component", one)
        assert one["type"] in TYPES
        for hashed in one.get("hashes", []):
            assert hashed["alg"] == "SHA-256"
            assert re.fullmatch("[0-9a-f]{64}", hashed["content"])
        for licence in one.get("licenses", []):
            assert set(licence) == {"license"}
            assert set(licence["license"]) == {"name"}


def test_references_are_unique_and_lead_somewhere(whole: Any) -> None:
    everything = [whole["metadata"]["component"], *whole["components"]]
    references = [one["bom-ref"] for one in everything]
    assert len(references) == len(set(references))
    for dependency in whole["dependencies"]:
        check("dependency", dependency)
        assert {dependency["ref"], *dependency["dependsOn"]} <= set(references)


def test_components_say_what_and_whose_they_are(whole: Any) -> None:
    found = {one["name"]: one for one in whole["components"]}
    skel = found["lib/libQnnHtpV73Skel.so"]
    assert (skel["type"], skel["version"]) == ("library", packages.BUILD_ID)
    assert "Qualcomm" in skel["licenses"][0]["license"]["name"]
    assert "Qualcomm" in skel["supplier"]["name"]
    assert found["model/dinov3_int8_htp.serialized.bin"]["type"] == "machine-learning-model"
    assert found["bin/dinov3-run"]["type"] == "application"


def test_serial_numbers_follow_the_content(tmp_path: Path) -> None:
    one, same, other = (bill(tmp_path / name, seed) for name, seed in ("aA", "bA", "cC"))
    assert one["serialNumber"] == same["serialNumber"] != other["serialNumber"]
