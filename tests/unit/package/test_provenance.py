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


def dependencies(build: Build) -> dict[str, Any]:
    return {entry["name"]: entry for entry in predicate(build)["resolvedDependencies"]}


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
    content = statement(build)
    assert set(content) == {"_type", "subject", "predicateType", "predicate"}
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert content["predicateType"] == "https://slsa.dev/provenance/v1"
    assert set(content["predicate"]) == {"buildDefinition", "runDetails"}
    fields = {"buildType", "externalParameters", "resolvedDependencies"}
    assert set(content["predicate"]["buildDefinition"]) == fields
    # No times: the same build gives the same statement.
    assert content["predicate"]["runDetails"] == {"builder": {"id": provenance.BUILDER}}


def test_each_subject_and_dependency_can_be_told_from_others(build: Build) -> None:
    for subject in statement(build)["subject"]:
        check_digests(subject["digest"])
    entries = predicate(build)["resolvedDependencies"]
    assert len(entries) == len(dependencies(build))
    for dependency in entries:
        assert set(dependency) <= {"name", "uri", "digest", "annotations"}
        assert "uri" in dependency or "digest" in dependency
        if "digest" in dependency:
            check_digests(dependency["digest"])


def test_every_file_is_a_subject_but_those_that_list_files(build: Build) -> None:
    subjects = {subject["name"] for subject in statement(build)["subject"]}
    generated = {"provenance.intoto.json", "sbom.cdx.json", "manifest.json", "SHA256SUMS"}
    assert subjects == {item.path for item in items(build)} - generated


def test_source_image_sdk_weights_and_materials_are_dependencies(build: Build) -> None:
    by_name = dependencies(build)
    assert by_name["source"]["digest"] == {"gitCommit": f"{2:040x}"}
    assert by_name["image"]["digest"] == {"sha256": f"{1:064x}"}
    assert by_name["sdk"]["annotations"]["build_id"] == packages.BUILD_ID
    assert by_name["weights"]["uri"].endswith(":random:0")
    assert by_name["weights"]["annotations"] == {"synthetic": True}
    assert by_name["images"] == HOST["materials"][0]  # type: ignore[index]


def test_weights_of_a_checkpoint_are_named_by_their_files(build: Build, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"weights")
    of_directory = dataclasses.replace(build, weights=str(tmp_path / "weights"))
    by_name = dependencies(of_directory)
    check_digests(by_name["weights/model.safetensors"]["digest"])
    assert "weights" not in by_name


def test_what_was_asked_for_is_there_with_and_without_a_host(build: Build) -> None:
    parameters = {"model": "digits", "precision": "int8", "target": "iq9075"}
    alone = dataclasses.replace(build, host={})
    assert predicate(alone)["externalParameters"] == parameters
    assert predicate(build)["externalParameters"] == {
        **parameters,
        "lane": "bookworm",
        "gate": True,
    }
    assert dependencies(alone).keys() == {"sdk", "weights"}


@pytest.mark.parametrize("text", ["{", "[]"])
def test_facts_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="provenance-facts is not"):
        provenance.facts_from(text)
