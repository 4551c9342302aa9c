"""The statement is one that in-toto v1 and SLSA provenance v1 describe, and says what went in."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import UsageError
from scripts.package import provenance
from scripts.package.contents import Build, items
from tests import packages

# Lengths in hexadecimal digits, of in-toto's digest sets.
ALGORITHMS = {"sha256": 64, "gitCommit": 40}
HOST = {
    "image": {"digest": f"sha256:{1:064x}"},
    "source": {"digest": {"gitCommit": f"{2:040x}"}},
    "parameters": {"model": "digits", "lane": "bookworm", "gate": True},
    "materials": [{"name": "images", "digest": {"sha256": f"{3:064x}"}}],
}


def predicate(build: Build) -> Any:
    return statement(build)["predicate"]["buildDefinition"]


def statement(build: Build) -> Any:
    source = next(item.source for item in items(build) if item.path == provenance.FILE)
    assert isinstance(source, bytes)
    return json.loads(source)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return dataclasses.replace(packages.build(tmp_path), host=HOST)


def check_digests(digests: dict[str, str]) -> None:
    assert digests
    for algorithm, digest in digests.items():
        assert re.fullmatch(f"[0-9a-f]{{{ALGORITHMS[algorithm]}}}", digest)


def test_it_has_the_fields_of_in_toto_and_slsa_and_no_others(build: Build) -> None:
    made = statement(build)
    assert set(made) == {"_type", "subject", "predicateType", "predicate"}
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert set(made["predicate"]) == {"buildDefinition", "runDetails"}
    fields = {"buildType", "externalParameters", "resolvedDependencies"}
    assert set(made["predicate"]["buildDefinition"]) == fields
    # No times: the same build gives the same statement.
    assert made["predicate"]["runDetails"] == {"builder": {"id": provenance.BUILDER}}


def test_each_subject_and_dependency_can_be_told_from_others(build: Build) -> None:
    for subject in statement(build)["subject"]:
        check_digests(subject["digest"])
    dependencies = predicate(build)["resolvedDependencies"]
    names = [one["name"] for one in dependencies]
    assert len(names) == len(set(names))
    for one in dependencies:
        assert set(one) <= {"name", "uri", "digest", "annotations"}
        assert "uri" in one or "digest" in one
        if "digest" in one:
            check_digests(one["digest"])


def test_every_file_is_a_subject_but_those_that_list_files(build: Build) -> None:
    subjects = {one["name"] for one in statement(build)["subject"]}
    generated = {"provenance.intoto.json", "sbom.cdx.json", "manifest.json", "SHA256SUMS"}
    assert subjects == {item.path for item in items(build)} - generated


def test_source_image_sdk_weights_and_materials_are_dependencies(build: Build) -> None:
    found = {one["name"]: one for one in predicate(build)["resolvedDependencies"]}
    assert found["source"]["digest"] == {"gitCommit": f"{2:040x}"}
    assert found["image"]["digest"] == {"sha256": f"{1:064x}"}
    assert found["sdk"]["annotations"]["build_id"] == packages.BUILD_ID
    assert found["weights"]["uri"].endswith(":random:0")
    assert found["weights"]["annotations"] == {"synthetic": True}
    assert found["images"] == HOST["materials"][0]  # type: ignore[index]


def test_weights_of_a_checkpoint_are_named_by_their_files(build: Build, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"weights")
    given = dataclasses.replace(build, weights=str(tmp_path / "weights"))
    found = {one["name"]: one for one in predicate(given)["resolvedDependencies"]}
    check_digests(found["weights/model.safetensors"]["digest"])
    assert "weights" not in found


def test_what_was_asked_for_is_there_with_and_without_a_host(build: Build) -> None:
    asked = {"model": "digits", "precision": "int8", "target": "iq9075"}
    alone = dataclasses.replace(build, host={})
    assert predicate(alone)["externalParameters"] == asked
    assert predicate(build)["externalParameters"] == {**asked, "lane": "bookworm", "gate": True}
    assert {one["name"] for one in predicate(alone)["resolvedDependencies"]} == {"sdk", "weights"}


@pytest.mark.parametrize("text", ["{", "[]"])
def test_facts_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="provenance-facts is not"):
        provenance.facts_from(text)
