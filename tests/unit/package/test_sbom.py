"""The bill of materials is one that CycloneDX 1.5 allows, by its own schema."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.package import sbom
from scripts.package.contents import Build, items
from tests import packages

# From bom-1.5.schema.json, as far as it is used: what each object may have and must have.
FIELDS = {
    "bom": "bomFormat specVersion serialNumber version metadata components dependencies"
    " externalReferences",
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
    return json.loads(source_of(packages.build(folder, seed=seed)))


def source_of(build: Build) -> bytes:
    source = next(item.source for item in items(build) if item.path == sbom.FILE)
    assert isinstance(source, bytes)
    return source


def problems(document: Any) -> str:
    """What the schema has against a document; nothing where it is valid."""
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(document))
    return str(error or "")


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
    for component in [whole["metadata"]["component"], *whole["components"]]:
        check("component", component)
        assert component["type"] in TYPES
        for hashed in component.get("hashes", []):
            assert hashed["alg"] == "SHA-256"
            assert re.fullmatch("[0-9a-f]{64}", hashed["content"])
        for licence in component.get("licenses", []):
            assert set(licence) == {"license"}
            assert set(licence["license"]) == {"name"}


def test_references_are_unique_and_lead_somewhere(whole: Any) -> None:
    everything = [whole["metadata"]["component"], *whole["components"]]
    references = [component["bom-ref"] for component in everything]
    assert len(references) == len(set(references))
    for dependency in whole["dependencies"]:
        check("dependency", dependency)
        assert {dependency["ref"], *dependency["dependsOn"]} <= set(references)


def test_components_say_what_and_whose_they_are(whole: Any) -> None:
    by_name = {component["name"]: component for component in whole["components"]}
    skel = by_name["lib/libQnnHtpV73Skel.so"]
    assert (skel["type"], skel["version"]) == ("library", packages.BUILD_ID)
    assert "Qualcomm" in skel["licenses"][0]["license"]["name"]
    assert "Qualcomm" in skel["supplier"]["name"]
    assert by_name["model/dinov3_int8_htp.serialized.bin"]["type"] == "machine-learning-model"
    assert by_name["bin/dinov3-run"]["type"] == "application"


def test_serial_numbers_follow_the_content(tmp_path: Path) -> None:
    first, same, other = (bill(tmp_path / name, seed) for name, seed in ("aA", "bA", "cC"))
    assert first["serialNumber"] == same["serialNumber"] != other["serialNumber"]


def test_it_refers_to_that_of_the_image_by_hash(tmp_path: Path) -> None:
    link, sha256 = "urn:cdx:69fb49c1-4ce6-5edb-8076-927c2b2f21c7/1", 64 * "b"
    image = {"digest": f"sha256:{64 * 'a'}", "bom": {"link": link, "sha256": sha256}}
    build = dataclasses.replace(packages.build(tmp_path), host={"image": image})
    document = json.loads(source_of(build))
    (reference,) = document["externalReferences"]
    assert (reference["type"], reference["url"]) == ("bom", link)
    assert reference["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    assert not problems(document)


def test_it_is_valid_by_the_schema_of_cyclonedx(whole: Any) -> None:
    assert not problems(whole)
    whole["components"][0]["type"] = "no type"
    assert problems(whole)
