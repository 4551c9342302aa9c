"""A package whose files are as its manifest says, and whose documents say something else."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest

from scripts.errors import ArtefactError
from scripts.package import agreement, archive, inspection, manifest, provenance, rule, sbom
from scripts.package.item import Entry, Item
from scripts.package.manifest import MANIFEST, SUMS
from tests import packages

ONNX = "model/dinov3_digits_int8_ctx.onnx"
VERIFY = "reports/verify.json"
Document = dict[str, Any]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return packages.package(tmp_path / "build")


def contents(whole: Path) -> dict[str, bytes]:
    with tarfile.open(whole) as tar:
        return {
            member.name.partition("/")[2]: stream.read()
            for member in tar
            if (stream := tar.extractfile(member))
        }


def forged(
    whole: Path, changes: dict[str, bytes], *, roles: Mapping[str, str] | None = None
) -> Path:
    """Return a package with other files, whose manifest and sums are made to fit."""
    files = contents(whole)
    old = manifest.load(files.pop(MANIFEST))
    del files[SUMS]
    known = {entry.path: entry for entry in old.entries}
    new = [
        dataclasses.replace(known.get(path, known[ONNX]), path=path, **facts(content))
        for path, content in (files | changes).items()
    ]
    named = {} if roles is None else roles
    new = [dataclasses.replace(row, role=named.get(row.path, row.role)) for row in new]
    document = manifest.dump(old.facts, new)
    files |= {**changes, MANIFEST: document, SUMS: manifest.sums(new, document)}
    modes = {entry.path: int(entry.mode, 8) for entry in new}
    items = [Item(path, content, "", modes.get(path, 0o644)) for path, content in files.items()]
    path = whole.with_name("forged.tar.gz")
    archive.write(path, old.name, items)
    return path


def facts(content: bytes) -> dict[str, Any]:
    entry = Item("x", io.BytesIO(content).getvalue(), "").entry()
    return {"size": entry.size, "sha256": entry.sha256}


def refusal(whole: Path, changes: dict[str, bytes]) -> str:
    is_listed = any(path.startswith("reports/") for path in changes)
    with pytest.raises(ArtefactError) as caught:
        inspection.inspect((forged_with_its_files if is_listed else forged)(whole, changes))
    assert "\n" not in caught.value.what
    return caught.value.what


def test_forging_alone_changes_nothing(whole: Path) -> None:
    """Else the refusals below could be of the forgery itself."""
    assert inspection.inspect(forged(whole, {})).package.manifest.name


def of_another_context(model: onnx.ModelProto) -> None:
    attributes = {row.name: row for row in model.graph.node[0].attribute}
    attributes["ep_cache_context"].s = b"../../etc/passwd"


def with_another_node(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Identity", ["pixel_values"], ["x"]))


def with_the_context_inside(model: onnx.ModelProto) -> None:
    attributes = {row.name: row for row in model.graph.node[0].attribute}
    attributes["embed_mode"].i = 1


def with_weights_outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add(name="w", data_type=1, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def of_another_graph(model: onnx.ModelProto) -> None:
    model.graph.name = "another"


def all_of_another_graph(model: onnx.ModelProto) -> None:
    model.graph.name = model.graph.node[0].name = "another"
    attributes = {row.name: row for row in model.graph.node[0].attribute}
    attributes["partition_name"].s = b"another"


def of_other_pictures(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 7


def with_a_function(model: onnx.ModelProto) -> None:
    model.functions.add(name="EPContext", domain="com.microsoft")


def of_another_licence(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = "public domain"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (of_another_context, "not an ONNX file of one node around dinov3_int8_htp"),
        (with_another_node, "not an ONNX file of one node"),
        (with_the_context_inside, "not an ONNX file of one node"),
        (with_weights_outside, "not an ONNX file of one node"),
        (of_another_graph, "not an ONNX file of one node"),
        (with_a_function, "not an ONNX file of one node"),
        (all_of_another_graph, "does not agree with manifest.json: the graph"),
        (of_other_pictures, "does not agree with manifest.json: the input"),
        (of_another_licence, "says of the network what the manifest does not"),
    ],
)
def test_the_onnx_file_is_one_node_around_our_context(
    whole: Path, change: Callable[[onnx.ModelProto], None], says: str
) -> None:
    model = onnx.load_from_string(contents(whole)[ONNX])
    change(model)
    assert says in refusal(whole, {ONNX: model.SerializeToString()})


def test_outputs_may_stand_in_the_compilers_order(whole: Path) -> None:
    files = contents(whole)
    own, model = manifest.load(files[MANIFEST]), onnx.load_from_string(files[ONNX])
    shape = onnx.helper.make_tensor_value_info("cls", onnx.TensorProto.FLOAT, [1, 384])
    model.graph.output.append(shape)
    model.graph.node[0].output.append("cls")
    names = ["cls", model.graph.output[0].name]
    several = {**own.facts["model"], "outputs": [{"name": name} for name in names]}
    network = {**own.facts, "model": several}
    agreement._check_onnx(own, network, ONNX, model.SerializeToString())
    del several["outputs"][0]
    with pytest.raises(ArtefactError, match="the outputs of one are not those of the other"):
        agreement._check_onnx(own, network, ONNX, model.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"\x08" * 100, bytes(65 << 10)])
def test_what_is_no_onnx_file_is_refused(whole: Path, content: bytes) -> None:
    assert ONNX in refusal(whole, {ONNX: content})


def test_there_is_one_onnx_file(whole: Path) -> None:
    assert "second ONNX file" in refusal(whole, {"model/other.onnx": contents(whole)[ONNX]})


def another_model(statement: Document) -> None:
    statement["predicate"]["buildDefinition"]["externalParameters"]["model"] = "vitl16"


def another_file(statement: Document) -> None:
    statement["subject"][0]["digest"]["sha256"] = 64 * "0"


def a_file_less(statement: Document) -> None:
    del statement["subject"][0]


def another_image(statement: Document) -> None:
    image = {"name": "image", "digest": {"sha256": 64 * "0"}}
    statement["predicate"]["buildDefinition"]["resolvedDependencies"][0] = image


def a_second_image(statement: Document) -> None:
    image = {"name": "image", "digest": {"sha256": 64 * "0"}}
    statement["predicate"]["buildDefinition"]["resolvedDependencies"].append(image)


def another_component(bill: Document) -> None:
    bill["components"][0]["hashes"][0]["content"] = 64 * "0"


def a_component_less(bill: Document) -> None:
    del bill["components"][0]


def another_package(bill: Document) -> None:
    bill["metadata"]["component"]["name"] = "another"


def better_figures(report: Document) -> None:
    report["cls"]["mean"] = 1.0


@pytest.mark.parametrize(
    ("path", "change", "what"),
    [
        (provenance.FILE, another_model, "model"),
        (provenance.FILE, another_file, "files"),
        (provenance.FILE, a_file_less, "files"),
        (provenance.FILE, another_image, "inputs"),
        (provenance.FILE, a_second_image, "inputs"),
        (sbom.FILE, another_component, "files"),
        (sbom.FILE, a_component_less, "files"),
        (sbom.FILE, another_package, "name"),
        (VERIFY, better_figures, "figures"),
    ],
)
def test_documents_say_what_the_manifest_says(
    whole: Path, path: str, change: Callable[[Document], None], what: str
) -> None:
    document = json.loads(contents(whole)[path])
    change(document)
    says = refusal(whole, {path: json.dumps(document).encode()})
    assert f"{path} does not agree with manifest.json: the {what} " in says


@pytest.mark.parametrize("path", [provenance.FILE, sbom.FILE, VERIFY, "reports/profile.json"])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": 1, "a": 2}', b'{"a":' * 100_000, b" " * (1 + rule.MAX_DOCUMENT)]
)
def test_documents_are_json_objects_within_bounds(whole: Path, path: str, content: bytes) -> None:
    assert path in refusal(whole, {path: content})


@pytest.mark.parametrize("role", ["runner", "context binary"])
def test_a_board_knows_what_to_run(whole: Path, role: str) -> None:
    changes = {"lib/second.so": b"x"}
    path = forged(whole, changes, roles={"lib/second.so": role})
    with pytest.raises(ArtefactError, match=f"has 2 files that are its {role}"):
        inspection.inspect(path)


@pytest.mark.parametrize("name", ["golden/input.b", "golden/output.raw"])
@pytest.mark.parametrize("size", [0, 3])
def test_golden_files_are_one_input_and_whole_numbers(tmp_path: Path, name: str, size: int) -> None:
    whole = packages.package(tmp_path / "build", runner=b"#!/bin/sh\n")
    path = forged(whole, {name: bytes(size)}, roles={name: "golden"})
    with pytest.raises(ArtefactError, match="golden files are not one input and outputs"):
        inspection.inspect(path)


def test_a_report_may_name_pictures_as_they_are(whole: Path) -> None:
    report = json.loads(contents(whole)[VERIFY])
    report["cls_by_picture"] = {"no utf-8 \udcff\n.png": 0.9}
    path = forged_with_its_files(whole, {VERIFY: json.dumps(report).encode()})
    assert inspection.inspect(path).tables()


def forged_with_its_files(whole: Path, changes: dict[str, bytes]) -> Path:
    """Return a package as `forged` does, whose lists of files are made to fit as well."""
    files = contents(whole) | changes
    entries = {entry.path: entry for entry in manifest.load(files[MANIFEST]).entries}
    statement, bill = json.loads(files[provenance.FILE]), json.loads(files[sbom.FILE])
    known: dict[str, Entry] = {
        path: dataclasses.replace(entries[path], **facts(files[path])) for path in entries
    }
    for row in statement["subject"]:
        row["digest"]["sha256"] = known[row["name"]].sha256
    for row in bill["components"]:
        row["hashes"][0]["content"] = known[row["name"]].sha256
    lists = {provenance.FILE: statement, sbom.FILE: bill}
    return forged(whole, changes | {path: json.dumps(row).encode() for path, row in lists.items()})


def test_a_package_without_a_signature_proves_nothing_and_says_so(whole: Path) -> None:
    _, rows = inspection.inspect(whole).tables()[0]
    assert "none: nothing shows who made" in {row[0]: row[1] for row in rows}["signature"]
    assert inspection.inspect(whole).record()["signature"] == "none"
